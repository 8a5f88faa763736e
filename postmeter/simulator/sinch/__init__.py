"""Fax machines, and the service that calls them: Sinch's Fax API, version 3, as far as we use it."""
