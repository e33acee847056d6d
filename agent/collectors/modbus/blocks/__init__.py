"""From tags to requests and back: layout, plan, decoders, and what an exception code means. Pure."""
