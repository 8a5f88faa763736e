"""Balances in one unit: posted, held, available, incoming."""
