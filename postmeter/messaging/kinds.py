"""What a message is for, and what that means for when it goes. Pure."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of messages (S-031 … S-037).

    `day_only`: not in the recipient's quiet hours (A-55). `waits`: where credit is short it waits for some unless its sender says
    otherwise, for `useful_for` from when it was accepted (A-43, A-44); None: its sender says until when, or it does not wait.
    """

    name: str
    words: str
    day_only: bool = True
    waits: bool = False
    useful_for: timedelta | None = None


AD_HOC, CODE, ANSWER, OPT_IN, TALK = "ad_hoc", "code", "answer", "opt_in", "talk"
_ALL = (
    Kind(AD_HOC, "ad-hoc message"),
    Kind("reminder", "appointment reminder", waits=True),
    Kind("notice", "appointment notice", waits=True, useful_for=timedelta(hours=24)),
    Kind("billing", "billing reminder", waits=True, useful_for=timedelta(days=7)),
    Kind("late_payment", "late payment notice", waits=True, useful_for=timedelta(days=7)),
    Kind("form", "online form", waits=True, useful_for=timedelta(days=7)),
    Kind("contact", "message to a contact"),
    Kind(CODE, "one-time code or urgent message", day_only=False),  # of no use in the morning
    Kind(OPT_IN, "question for consent"),  # ours, but paid for like any text
    Kind(TALK, "call put through to you", day_only=False),  # ours: the second leg of a call
    Kind(ANSWER, "answer to STOP, HELP or START", day_only=False),  # ours: the one thing that may follow an opt-out
)
KINDS = {kind.name: kind for kind in _ALL}
AUTOMATED = ("reminder", "notice", "billing", "late_payment")  # calls that may be answered by keys (S-065)
CHOSEN = tuple(name for name in KINDS if name not in (ANSWER, OPT_IN, TALK))  # what a sender may say
