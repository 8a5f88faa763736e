"""How people sign in: django-allauth with the doors that we do not want closed."""

from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django.http import HttpRequest
from django.urls import reverse

from postmeter.customers.models import User


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Members are invited by their customer; nobody signs up from outside."""
        return False


class AddKeyForm(AddWebAuthnForm):
    """A new key signs in alone unless one says otherwise: that is what people expect of a passkey."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["passwordless"].initial = True


def invite(request: HttpRequest, *, email: str, customer: str, inviter: str) -> None:
    """Mail a new member where to sign in; who has no password yet gets the link that sets one (it works for three days)."""
    user, adapter = User.objects.get(email=email.strip().lower()), get_adapter(request)
    if user.has_usable_password():
        link = request.build_absolute_uri(reverse("account_login"))
    else:
        token = app_settings.PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
        link = adapter.get_reset_password_from_key_url(f"{user_pk_to_url_str(user)}-{token}")
    facts = {"user": user, "customer": customer, "inviter": inviter, "link": link, "is_new": not user.has_usable_password()}
    adapter.send_mail("account/email/invitation", user.email, facts)
