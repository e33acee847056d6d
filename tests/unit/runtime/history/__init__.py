"""The history for the page."""
