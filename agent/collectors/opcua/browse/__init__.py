"""Looking around in an address space: which nodes there are, and what the server says about them."""
