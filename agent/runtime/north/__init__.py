"""Northbound: one route, from its outbox to the broker's acknowledgement (`route.py`)."""
