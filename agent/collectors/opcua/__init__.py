"""OPC UA. `session` (with `services` and `translate`) touches asyncua; it is imported when a device is opened."""
