"""The tags of a connection: found, monitored, read, polled."""
