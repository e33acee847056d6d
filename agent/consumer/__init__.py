"""Floor 3: the other side. Knows the messages (docs/messages.md), never the encoders."""
