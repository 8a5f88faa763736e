"""Months of a wallet: statements, and the tax invoices of what was used."""
