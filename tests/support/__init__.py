"""What tests share. The only place that may sleep, and only in `waiting`."""
