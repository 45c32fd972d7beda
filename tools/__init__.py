"""What makes the kit and is not needed to use it."""
