"""Edge agent: OPC UA and Modbus to MQTT, with a durable outbox between."""

from __future__ import annotations

__version__ = "0.1.0"
