"""Edge agent: OPC UA and Modbus to MQTT, with a durable outbox between."""

from __future__ import annotations

__version__: str


def __getattr__(name: str) -> str:
    """The version, from what was installed; asked for late, so that a health check does not import what looks it up."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib import metadata

    try:
        found = metadata.version("industrial-edge-agent")
    except metadata.PackageNotFoundError:
        found = "0.0.0"
    globals()[name] = found
    return found
