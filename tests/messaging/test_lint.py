"""No text asks for an answer that opts its reader out without saying so (A-65)."""

import pytest

from postmeter.kit.refusals import BadInput
from postmeter.messaging import lint
from postmeter.messaging.operations import quote
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.quote import Wanted
from tests.cast import Cast, at, number

WRONG = [
    "See you Tuesday at 9. Reply CANCEL to cancel your appointment.",
    "Reply with CANCEL if you can't make it",
    'Reply "cancel" to cancel',
    "Text END to reschedule",
    "Reply YES to confirm or reply QUIT to give up your slot",
    "Reply STOP to cancel your appointment",
    "To change it, respond back with the word CANCEL and we will call",
    "Responda CANCELAR para anular su cita",
    "Répondez ARRET pour annuler votre rendez-vous",
]
RIGHT = [
    "Reply STOP to opt out.",
    "Reply STOP to cancel",
    "Reply STOP to unsubscribe, HELP for help",
    "Reply C to cancel your appointment",
    "Reply 2 to cancel. Reply STOP to opt out",
    "To cancel your appointment call 555-0100",
    "Text STOP to 12345 to end messages",
    "Your appointment was cancelled. Reply CANCEL to get no more texts",
    "We cannot stop by today; reply to this text to reschedule",
    "Reply END",
    "",
]


@pytest.mark.parametrize("text", WRONG)
def test_a_text_that_offers_a_stop_word_for_something_else_is_refused_with_a_better_wording(text: str) -> None:
    with pytest.raises(lint.AsksForAnOptOut) as refused:
        lint.check(text)
    assert refused.value.field == "text" and "Reply C to cancel" in (refused.value.remedy or "")


@pytest.mark.parametrize("text", RIGHT)
def test_opting_out_and_everything_else_may_be_offered(text: str) -> None:
    lint.check(text)


def test_what_accepts_and_what_quotes_refuse_it_and_nothing_is_held(cast: Cast) -> None:
    clinic = cast.clinic()
    with pytest.raises(BadInput):
        submit(Submission(clinic.id, [number(1)], [WRONG[0]], clinic.actor), now=at())
    with pytest.raises(BadInput):
        made = quote.make(customer_id=clinic.id, wanted=[Wanted(number(1), WRONG[0])], actor=clinic.actor, now=at())
        quote.send(customer_id=clinic.id, quote_id=made.id, actor=clinic.actor, now=at())
    assert clinic.held == 0


def test_a_long_text_of_nearly_matches_ends() -> None:
    lint.check("reply with the word " * 200 + "x")
