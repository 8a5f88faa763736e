"""Every write about messages, by verb: accept, dispatch's claims and outcomes, record, cancel, quote, sweep.

Locks are always taken in this order: keys, messages by id, ledger accounts by id.
"""
