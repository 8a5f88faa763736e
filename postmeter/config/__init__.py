"""Settings, addresses, processes: where the rooms are joined."""
