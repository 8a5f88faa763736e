"""What forms share: refusals beside their field, and the key that makes a second press harmless."""

from collections.abc import Mapping
from uuid import UUID, uuid4

from django import forms
from django.http import HttpRequest

from postmeter.kit.refusals import BadInput, Refusal


def add_refusal(form: forms.BaseForm, refusal: Refusal, fields: Mapping[str, str] | None = None) -> None:
    """Show a refusal beside its field, or at the top where the form has no such field.

    `fields` translates the operation's names into the form's: {"to": "recipients"}. The view then renders the form again with
    `status=refusal.status`; `<c-form-errors>` sums up at the top and nothing that was typed is lost.
    """
    name = (fields or {}).get(refusal.field or "", refusal.field)
    form.add_error(name if name in form.fields else None, str(refusal))


def new_key() -> str:
    """A one-time key for a form that acts: `<c-confirm key="…">` posts it as `key`."""
    return str(uuid4())


def key_of(request: HttpRequest) -> UUID:
    """The form's one-time key, which operations take as their idempotency key. Raises BadInput if it is missing or mangled."""
    try:
        return UUID(request.POST.get("key", ""))
    except ValueError:
        raise BadInput("This form has lost its key.", remedy="Go back, reload the page and try again.") from None
