"""Values and times of the wire as what the rest of the agent knows."""
