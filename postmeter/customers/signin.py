"""How people sign in: django-allauth with the doors that we do not want closed."""

from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django.conf import settings
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
    user = User.objects.get(email=email.strip().lower())
    link, is_new = first_link(user), not user.has_usable_password()
    facts = {"user": user, "customer": customer, "inviter": inviter, "link": link, "is_new": is_new}
    get_adapter(request).send_mail("account/email/invitation", user.email, facts)


def first_link(user: User, address: str = "") -> str:
    """Where a person begins, at `address` (the customers' pages, if not said): signing in, or setting their first password.

    That link works for three days, once.
    """
    address = address or settings.PUBLIC_URL
    if user.has_usable_password():
        return f"{address}{reverse('account_login')}"
    token = app_settings.PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
    key = {"uidb36": user_pk_to_url_str(user), "key": token}
    return f"{address}{reverse('account_reset_password_from_key', kwargs=key)}"
