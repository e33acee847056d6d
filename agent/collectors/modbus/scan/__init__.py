"""The scans of one device: when each begins, what it asks, and what is made of the answers."""
