"""Refusals: what we say no to, in words a person can act on.

A refusal is an answer, not a failure: the doors turn it into a page, a problem document (RFC 9457) or a line on stderr.
Anything that is not a refusal is a bug; it crashes, is logged and needs a change of code.

    Refusal
    ├── BadInput       422   a field is wrong; names the field and the remedy
    ├── NotFound       404   no such thing for this customer
    ├── NotAllowed     403   the member or key lacks the role or scope
    ├── Conflict       409   the thing is in another state, or the key was used for something else
    └── NotCovered     402   the credit does not suffice
"""

from typing import ClassVar


class Refusal(Exception):
    """We cannot do this."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "refused"

    def __init__(self, text: str | None = None, *, field: str | None = None, remedy: str | None = None, **facts: object) -> None:
        self.text = text or (type(self).__doc__ or "").strip().splitlines()[0]
        self.field = field
        self.remedy = remedy
        self.facts = facts
        super().__init__(self.text)

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}" if self.remedy else self.text


class BadInput(Refusal):
    """Something in what you sent is not right."""

    status = 422
    code = "bad_input"


class NotFound(Refusal):
    """There is no such thing here."""

    status = 404
    code = "not_found"


class NotAllowed(Refusal):
    """You may not do this."""

    status = 403
    code = "not_allowed"


class Conflict(Refusal):
    """This is no longer possible in its present state."""

    status = 409
    code = "conflict"


class NotCovered(Refusal):
    """The available credit does not cover this."""

    status = 402
    code = "not_covered"
