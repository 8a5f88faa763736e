"""Small shared helpers that know no framework."""
