"""What comes off the wire: bounded before it is looked at, and the common answers decoded straight into columns."""
