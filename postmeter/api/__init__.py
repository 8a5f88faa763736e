"""REST /v1: the door for programs."""
