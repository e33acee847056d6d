"""A package of somebody else: `type: counter` reads, `type: lines` encodes, `type: feed` publishes."""
