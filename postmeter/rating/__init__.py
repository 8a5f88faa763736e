"""Price lists and quotes."""
