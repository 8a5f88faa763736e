"""A carrier, a payment gateway and a street of phones, with a clock: the test bed and the demo.

A process of its own (`python -m postmeter.simulator`) that knows nothing of the rest of Postmeter. Its log is the ground
truth of what was really sent and charged.
"""
