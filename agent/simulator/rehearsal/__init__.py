"""Every device of a configuration as a simulated one: `edge-agent simulate -c`."""
