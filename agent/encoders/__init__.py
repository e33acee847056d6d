"""Floor 2: readings → payloads and topics."""
