"""Opt-outs over REST: written down with their proof, obeyed at once, taken back only where that may be."""

from postmeter.consent import queries as consent
from postmeter.messaging.operations.accept import Submission, submit
from tests.api.conftest import Caller
from tests.cast import Clinic, at, number

SAID = "On the telephone, 3 March"


def test_an_opt_out_of_one_kind_is_obeyed_and_taken_back_with_its_proof(api: Caller, harbour: Clinic) -> None:
    asked = {"to": number(1), "purpose": "billing", "words": SAID}
    made = api.post("/v1/opt-outs", asked)
    assert made.status_code == 200
    assert [(row["to"], row["channel"], row["purpose"], row["source"]) for row in made.json()["data"]] == [
        (number(1), "sms", "billing", "told to a program")
    ]
    assert api.post("/v1/opt-outs", asked).json() == made.json()  # again changes nothing
    refused = api.post("/v1/messages", {"to": number(1), "text": "Hi", "kind": "billing"}, key="a")
    assert (refused.status_code, refused.json()["field"]) == (422, "to")
    assert api.post("/v1/messages", {"to": number(1), "text": "Hi"}, key="b").status_code == 202
    back = api.post("/v1/opt-ins", {"to": number(1), "purpose": "billing", "words": "Asked again, 9 March"})
    assert (back.status_code, back.json()["data"]) == (200, [])
    assert api.post("/v1/messages", {"to": number(1), "text": "Hi", "kind": "billing"}, key="c").status_code == 202
    proof = [(row.purpose, row.words) for row in consent.evidence_of(customer_id=harbour.id, addresses=[number(1)], at_most=9)]
    assert proof == [("billing", "Asked again, 9 March"), ("billing", SAID)]


def test_an_opt_out_holds_for_what_waits_already(api: Caller, harbour: Clinic) -> None:
    [id_] = submit(Submission(harbour.id, [number(2)], ["Hi"], harbour.actor), now=at()).ids
    api.post("/v1/opt-outs", {"to": number(2)})
    from postmeter.messaging.operations import dispatch

    assert [each.id for each in dispatch.claim(customer_id=harbour.id, at_most=10, now=at())] == []
    assert harbour.held == 0 and id_


def test_a_recipient_is_found_on_every_channel(api: Caller) -> None:
    api.post("/v1/opt-outs", {"to": number(3), "channel": "voice"})
    api.post("/v1/opt-outs", {"to": number(3), "channel": "fax"})
    api.post("/v1/opt-outs", {"to": "Ann@Patients.example", "channel": "email"})
    listed = api.get(f"/v1/opt-outs?to=%2B{number(3)[1:]}").json()["data"]
    assert [row["channel"] for row in listed] == ["voice", "fax"]
    assert [row["to"] for row in api.get("/v1/opt-outs?to=ann@patients.example").json()["data"]] == ["ann@patients.example"]


def test_what_cannot_be_is_refused_with_its_field(api: Caller) -> None:
    for path, body, field in (
        ("/v1/opt-outs", {"to": "12"}, "to"),
        ("/v1/opt-outs", {"to": number(1), "channel": "email"}, "to"),
        ("/v1/opt-ins", {"to": number(1), "words": SAID}, "purpose"),  # only their own START
    ):
        refused = api.post(path, body)
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
    for body in ({"to": number(1), "purpose": "everything"}, {"to": number(1), "channel": "pigeon"}, {"words": "x"}):
        assert api.post("/v1/opt-outs", body).status_code in (400, 422)
    assert api.post("/v1/opt-ins", {"to": number(1), "words": ""}).status_code in (400, 422)


def test_a_mms_is_stopped_with_the_texts(api: Caller) -> None:
    made = api.post("/v1/opt-outs", {"to": number(4), "channel": "mms"})
    assert [row["channel"] for row in made.json()["data"]] == ["sms"]
