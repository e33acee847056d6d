"""Floor 1: what configuration models share."""
