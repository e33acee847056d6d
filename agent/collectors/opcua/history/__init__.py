"""What an outage left open, filled from the server's history, and the account kept of it."""
