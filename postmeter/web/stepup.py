"""Asking again who is there, before cards, keys and members change (ASVS 7.5.1)."""

from collections.abc import Callable
from typing import ParamSpec, cast

from allauth.account.decorators import reauthentication_required
from django.http import HttpResponseBase

P = ParamSpec("P")


def confirmed_person(view: Callable[P, HttpResponseBase]) -> Callable[P, HttpResponseBase]:
    """Under `member_page`: whoever has not confirmed themselves in the last quarter of an hour does so first and comes back."""
    return cast(Callable[P, HttpResponseBase], reauthentication_required(view))
