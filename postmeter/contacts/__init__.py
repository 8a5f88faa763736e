"""Whom a customer writes to."""
