"""The way to a server: dialled or calling, its secure channel, its session."""
