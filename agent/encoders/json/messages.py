"""The payloads stand in `agent.encoders.common.messages`: gaps are said in the same words whatever the encoder."""

from __future__ import annotations

from agent.encoders.common.messages import GapMessage

__all__ = ["GapMessage"]
