"""A carrier that speaks Twilio's 2010-04-01 Messages API."""
