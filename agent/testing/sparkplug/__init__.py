"""A tap on the wire between an edge node and its broker, for the conformance monitor (`agent.consumer.sparkplug`)."""
