"""Floor 0: the words of the product as types. Imports nothing of the agent."""
