"""Everything that touches the disk: one connection in one thread. It knows nothing of the loop's side."""
