"""Emails to a street of mailboxes and back, through a mail server and the process that takes mail."""

from collections import Counter

from django.utils import timezone

from postmeter.consent import queries as consent
from postmeter.messaging import inbox, media, queries
from postmeter.messaging.addresses import way_back
from postmeter.messaging.operations.accept import Submission, submit
from tests.cast import Clinic
from tests.journeys.house import House, assert_all_is_right
from tests.journeys.test_first_journey import dispatch_all
from tests.stage import until

PEOPLE = [f"{name}@patients.example" for name in ("ann", "bounce", "full", "unknown", "away", "angry", "later")]


def states(clinic: Clinic) -> dict[str, tuple[str, str]]:
    return {row.recipient.partition("@")[0]: (row.state, row.error_code) for row in queries.messages(customer_id=clinic.id)}


def test_what_mail_servers_and_people_answer_is_what_becomes_of_an_email(
    house: House, harbour: Clinic
) -> None:  # S-043 S-060 S-063 S-074 S-075
    house.stage.open_mail()
    body = ["Your visit\nSee you at ten."] * len(PEOPLE)
    submit(Submission(harbour.id, PEOPLE, body, harbour.actor, channel="email"), now=timezone.now())
    dispatch_all(harbour.id)
    assert states(harbour)["later"] == ("queued", "")  # greylisted: again, a little later
    house.stage.settle()
    until(lambda: states(harbour)["full"][0] == "undelivered" and states(harbour)["bounce"][0] == "undelivered", "the bounces")
    told = states(harbour)
    codes = (told["bounce"][1], told["full"][1], told["unknown"])
    assert codes == ("5.1.1", "5.2.2", ("failed", "5.1.1")), codes
    assert told["ann"][0] == "sent"
    until(
        lambda: bool(consent.opted_out(customer_id=harbour.id, channel="email", addresses=["angry@patients.example"])),
        "the complaint",
    )
    ann = next(row for row in queries.messages(customer_id=harbour.id) if row.recipient.startswith("ann"))
    to = way_back("reply", harbour.id, ann.id)
    letter = {"mailbox": ann.recipient, "to": to, "subject": "Re: Your visit", "text": "Yes", "files": {"form.pdf": "%PDF-1.7"}}
    house.simulator.control("POST", "/mail", letter)
    house.stage.settle()

    def came() -> list[inbox.Conversation]:
        return inbox.threads(customer_id=harbour.id, which="all", member_id=0, at_most=9)

    until(lambda: len(came()) == 1, "the answer")
    [found] = came()
    assert found.last is not None
    files = media.of_messages(customer_id=harbour.id, message_ids=[found.last.id])[found.last.id]
    assert [(file.name, file.content_type, file.content) for file in files] == [("form.pdf", "application/pdf", b"%PDF-1.7")]
    taken = Counter(entry["subject"] for entry in house.simulator.control("GET", "/log?kind=mail.delivered")["entries"])
    assert set(taken.values()) == {1}
    assert (harbour.held, harbour.posted) == (0, 100_000_000)
    assert_all_is_right(house, harbour, settled=False)


def test_while_the_mails_door_is_closed_nothing_is_lost(house: House, harbour: Clinic) -> None:
    house.stage.close_mail()
    sent = submit(
        Submission(harbour.id, ["bo@patients.example"], ["Hello\nthere"], harbour.actor, channel="email"), now=timezone.now()
    )
    to = way_back("reply", harbour.id, sent.ids[0])
    house.simulator.control("POST", "/mail", {"mailbox": "bo@patients.example", "to": to, "text": "Are you open?"})
    house.simulator.control("POST", "/flush")
    assert inbox.threads(customer_id=harbour.id, which="all", member_id=0, at_most=9) == []
    house.stage.open_mail()
    house.stage.settle()
    until(lambda: inbox.unread(customer_id=harbour.id) == 1, "the email to come again")
