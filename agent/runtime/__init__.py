"""Floor 4: what keeps the parts running. Southbound in device.py, northbound in route.py; between them the outbox."""
