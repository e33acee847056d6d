"""What the running agent says of itself: to people, to the page, to whoever helps from afar. Reads, changes nothing."""
