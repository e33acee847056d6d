"""Connections: from a URL to the bus that owns the socket, and what it says over it. `wire.py` touches the library."""
