"""What a tag of a configuration means on the wire: its address, type, byte order and sentinels. Pure."""
