"""Postmeter: prepaid credit for messages."""
