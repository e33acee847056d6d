"""Floor 2: what reads devices. One folder a protocol; `polling` is what those that poll share."""
