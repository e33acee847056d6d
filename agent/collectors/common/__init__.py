"""What collectors of any protocol share: poll groups, keep-alive of sockets, chunk limits, a choice of servers."""
