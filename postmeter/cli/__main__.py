"""`python -m postmeter.cli`."""

from postmeter.cli import main

main()
