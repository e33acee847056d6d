"""Modbus: what a configuration says is compiled into points and blocks; a bus asks, a collector scans.

config ─▶ points ─▶ plan ─▶ blocks ─▶ codec          pure: addresses, limits, bytes
collector ─▶ scan ─▶ bus ─▶ wire ═▶ device          wire.py alone touches the library
"""
