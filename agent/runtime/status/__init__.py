"""What the running agent says of itself: to people, to the page, to remote support. Reads, changes nothing."""
