"""What a message is for, and what that means for when it goes. Pure."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of messages (S-031 … S-037), and what its recipients may opt out of by itself (A-72).

    `many`: how pages call them; empty where nobody chooses or refuses them by name.
    `day_only`: not in the recipient's quiet hours (A-55). `waits`: where credit is short it waits for some unless its sender says
    otherwise, for `useful_for` from when it was accepted (A-43, A-44); None: its sender says until when, or it does not wait.
    """

    name: str
    words: str
    many: str = ""
    day_only: bool = True
    waits: bool = False
    useful_for: timedelta | None = None


AD_HOC, ADVERTISING, CODE, ANSWER, OPT_IN, TALK = "ad_hoc", "advertising", "code", "answer", "opt_in", "talk"
_ALL = (
    Kind(AD_HOC, "ad-hoc message", "other messages"),
    Kind("reminder", "appointment reminder", "appointment reminders", waits=True),
    Kind("notice", "appointment notice", "appointment notices", waits=True, useful_for=timedelta(hours=24)),
    Kind("billing", "billing reminder", "billing reminders", waits=True, useful_for=timedelta(days=7)),
    Kind("late_payment", "late payment notice", "late payment notices", waits=True, useful_for=timedelta(days=7)),
    Kind("form", "online form", "online forms", waits=True, useful_for=timedelta(days=7)),
    Kind("contact", "message to a contact", "messages to contacts"),
    Kind(ADVERTISING, "advertising", "advertising"),  # by fax only to who has agreed, where the customer asks (S-051)
    Kind(CODE, "one-time code or urgent message", day_only=False),  # of no use in the morning
    Kind(OPT_IN, "question for consent"),  # ours, but paid for like any text
    Kind(TALK, "call put through to you", day_only=False),  # ours: the second leg of a call
    Kind(ANSWER, "answer to STOP, HELP or START", day_only=False),  # ours: the one thing that may follow an opt-out
)
KINDS = {kind.name: kind for kind in _ALL}
AUTOMATED = ("reminder", "notice", "billing", "late_payment")  # calls that may be answered by keys (S-065)
CHOSEN = tuple(name for name in KINDS if name not in (ANSWER, OPT_IN, TALK))  # what a sender may say
PURPOSES = {kind.name: kind.many for kind in _ALL if kind.many}  # what somebody may opt out of by itself
