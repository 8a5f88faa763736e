"""PayPal as far as Postmeter uses it: saved accounts, orders, captures, refunds, signed events."""
