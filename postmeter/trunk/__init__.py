"""The SIP trunk: calls that are really placed, spoken and faxed, by a process of its own that knows no database.

It is to us what a provider is: asked by HTTP (`app.py`), it asks what to say, and reports what became of each call
(`postmeter/messaging/providers/sip.py` is the other side).
"""
