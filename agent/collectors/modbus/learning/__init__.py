"""What a device refuses, found out and remembered while a connection lasts. Pure."""
