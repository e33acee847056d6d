"""Floor 4: what keeps the parts running. Southbound in south/, northbound in north/; between them the outbox."""
