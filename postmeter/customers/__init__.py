"""Customers, members, sign-in and API keys."""
