"""Contract suites and scripted twins of every port. Shipped, imported only by tests."""
