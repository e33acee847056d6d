"""Floor 4: health, metrics and status over HTTP. Reads the image and the routes, changes nothing."""
