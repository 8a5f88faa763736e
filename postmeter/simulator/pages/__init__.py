"""Pages for people: the index, the street of phones, the hosted payment page."""
