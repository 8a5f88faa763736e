"""What providers and gateways post to us."""
