"""The configuration changes while the agent runs."""
