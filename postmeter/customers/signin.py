"""How people sign in: django-allauth with the doors that we do not want closed."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Members are invited by their customer; nobody signs up from outside."""
        return False
