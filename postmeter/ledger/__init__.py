"""Accounts, transfers and holds: the only place where money moves."""
