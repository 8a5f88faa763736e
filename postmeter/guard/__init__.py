"""What keeps a stolen key or a bad day from becoming a bill."""
