"""Floor 3: the other side. Knows the contract (DESIGN: readings, and what is around them), never the encoders."""
