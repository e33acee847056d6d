"""Modbus: what a configuration says is compiled into points and blocks; a bus asks, a collector scans.

config ─▶ tags ─▶ blocks                              pure: addresses, limits, plan, bytes
collector ─▶ scan ─▶ bus ═▶ device                    bus/wire.py alone touches the library
              └▶ learning                             pure: what the device refuses
"""
