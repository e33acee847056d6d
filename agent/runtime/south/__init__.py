"""Southbound: one device, read until its connection is lost, and what is made of its samples (`device.py`)."""
