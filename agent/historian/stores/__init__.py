"""Databases of the historian: twins of one port (`port.py`) with one story (`story.py`)."""
