"""What a channel measures. Pure."""
