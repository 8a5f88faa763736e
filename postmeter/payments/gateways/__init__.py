"""Who takes money, one file each. Pure."""
