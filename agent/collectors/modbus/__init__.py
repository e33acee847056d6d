"""Modbus: what a configuration says is compiled into points and blocks; a line asks, a collector scans.

config ─▶ points ─▶ plan ─▶ blocks ─▶ codec          pure: addresses, limits, bytes
collector ─▶ scan ─▶ line ─▶ wire ═▶ device          wire.py alone touches the library
"""
