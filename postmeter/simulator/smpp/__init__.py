"""A carrier's message centre, spoken to over SMPP 3.4."""
