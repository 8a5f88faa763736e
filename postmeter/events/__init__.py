"""Facts, recorded once, that travel up."""
