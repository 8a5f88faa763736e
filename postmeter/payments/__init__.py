"""Payment methods and attempts to take money."""
