"""Floor 4: the consumer that writes readings into a database, exactly once, and asks for what is missing."""
