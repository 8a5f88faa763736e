"""Messages: accepted, dispatched, recorded."""
