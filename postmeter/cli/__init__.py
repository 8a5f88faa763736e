"""The postmeter command."""
