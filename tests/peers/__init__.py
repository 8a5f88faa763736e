"""Other people's programs that the tests measure ours against."""
