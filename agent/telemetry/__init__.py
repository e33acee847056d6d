"""Floor 1: logs (a catalogue of events) and metrics (one table)."""
