"""Buying credit: payment, wallet and invoice in one transaction."""
