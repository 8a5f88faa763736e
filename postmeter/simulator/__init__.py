"""A carrier, a payment gateway and a street of phones, with a clock."""
