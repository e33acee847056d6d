"""Floor 2: hand messages to one broker."""
