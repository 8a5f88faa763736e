"""Who carries messages, one file each. Pure."""
