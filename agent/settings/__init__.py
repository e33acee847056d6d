"""Floor 1: what configuration models share. Packages of others build on the three named here (docs/plugins.md)."""

from __future__ import annotations

from agent.settings.devices import DeviceConfig as CollectorConfig
from agent.settings.publishers import EncoderConfig, PublisherConfig

__all__ = ["CollectorConfig", "EncoderConfig", "PublisherConfig"]
