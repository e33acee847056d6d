"""Contract suites and scripted twins of the ports. Shipped, imported only by tests."""
