"""The operator's pages, for account managers: a process of its own, see config/console.py."""
