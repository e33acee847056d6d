"""From one configuration to the next while the agent runs (`reloader.py`), and who asks for it."""
