"""Customers' systems are told: signed, at least once, and never inside our own network."""

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from postmeter.config.reactions import REACTIONS
from postmeter.db import calls, scope
from postmeter.db.public_ids import public_ids
from postmeter.events import operations as events
from postmeter.events.models import Event
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from postmeter.notifications import queries as notices
from postmeter.notifications import rounds
from postmeter.notifications.words import words
from postmeter.webhooks import operations, queries, signing, tasks
from postmeter.webhooks.kinds import KINDS, body_of
from postmeter.webhooks.models import Delivery, Endpoint
from postmeter.webhooks.outgoing import ForbiddenAddress
from tests.cast import Cast, Clinic
from tests.simulation.listener import Listener


@pytest.fixture
def listener(settings: object) -> Iterator[Listener]:
    settings.WEBHOOKS_LOCAL = True  # type: ignore[attr-defined]
    with Listener() as listener:
        yield listener


def added(clinic: Clinic, url: str, *kinds: str) -> Endpoint:
    return operations.add(customer_id=clinic.id, url=url, kinds=kinds, actor=clinic.actor, now=timezone.now())


def happened(clinic: Clinic, kind: str = "top_up.succeeded", **data: object) -> int:
    """A fact that wakes nobody else: its subject is made up, and the jobs of other tests would look for it."""
    with scope.customer(clinic.id):
        event_id = events.record(kind, customer_id=clinic.id, subject_id=calls.next_id(), now=timezone.now(), data=data)
        calls.rows("DELETE FROM events_outbox WHERE customer_id = %s AND id = %s", [clinic.id, event_id])
    return event_id


def deliveries(endpoint: Endpoint) -> list[Delivery]:
    return queries.deliveries(customer_id=endpoint.customer_id, endpoint_id=endpoint.id)


def test_a_fact_is_told_once_signed_and_with_nothing_that_is_ours_alone(cast: Cast, listener: Listener) -> None:
    clinic = cast.clinic()
    endpoint = added(clinic, f"{listener.url}/hook", "top_up.succeeded")
    event_id = happened(clinic, amount_micros=20 * MICROS, transfer_id=7, secret="x")
    for _ in range(2):  # jobs repeat themselves
        tasks.fan_out(customer_id=clinic.id, event_id=event_id)
    tasks.fan_out(customer_id=clinic.id, event_id=happened(clinic, "top_up.failed", code="declined"))
    [post] = listener.at("/hook")
    told = Webhook(signing.secret_of(endpoint.id)).verify(post.body, post.headers)
    assert told["type"] == "top_up.succeeded"
    assert set(told["data"]) == {"top_up_id", "amount_micros"}
    assert told["data"]["top_up_id"].startswith("TU")
    [row] = deliveries(endpoint)
    assert (row.state, row.status, row.attempts) == ("delivered", 204, 1)
    assert post.headers["webhook-id"] == public_ids().encode("WD", row.id)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.secret_of(endpoint.id + 1)).verify(post.body, post.headers)


def test_an_independent_receiver_takes_the_signature(cast: Cast, listener: Listener) -> None:
    clinic = cast.clinic()
    endpoint = added(clinic, f"{listener.url}/own")
    tasks.fan_out(customer_id=clinic.id, event_id=happened(clinic))
    [post] = listener.at("/own")
    key = base64.b64decode(signing.secret_of(endpoint.id).removeprefix("whsec_"))
    said = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.{post.body.decode()}"
    assert post.headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(key, said.encode(), hashlib.sha256)).decode()


def test_what_is_not_taken_is_tried_again_with_the_same_id_and_body_and_given_up_after_three_days(
    cast: Cast, listener: Listener
) -> None:
    listener.answers = lambda post: 503
    clinic = cast.clinic()
    endpoint = added(clinic, f"{listener.url}/busy")
    tasks.fan_out(customer_id=clinic.id, event_id=happened(clinic))
    now, tried = timezone.now(), 1
    while deliveries(endpoint)[0].state == "pending":
        due = deliveries(endpoint)[0].due_at
        assert not operations.deliver(
            customer_id=clinic.id, delivery_id=deliveries(endpoint)[0].id, now=due - timedelta(seconds=1)
        )
        operations.deliver_due(now=due)
        tried += 1
        assert tried < 20
    [row] = deliveries(endpoint)
    posts = listener.at("/busy")
    assert (row.state, row.attempts, len(posts)) == ("failed", 10, 10)
    assert timedelta(days=3) < deliveries(endpoint)[0].ended_at - now < timedelta(days=4)  # type: ignore[operator]
    assert len({(post.headers["webhook-id"], post.body) for post in posts}) == 1
    listener.answers = lambda post: 200
    operations.again(customer_id=clinic.id, delivery_id=row.id, now=timezone.now())
    with pytest.raises(Conflict):
        operations.again(customer_id=clinic.id, delivery_id=row.id, now=timezone.now())
    operations.deliver(customer_id=clinic.id, delivery_id=row.id, now=timezone.now())
    assert deliveries(endpoint)[0].state == "delivered"


def test_a_worker_that_died_over_one_is_followed_by_another(cast: Cast, listener: Listener) -> None:
    clinic = cast.clinic()
    endpoint = added(clinic, f"{listener.url}/later")
    [delivery_id] = operations.fan_out(customer_id=clinic.id, event_id=happened(clinic), now=timezone.now())
    now = timezone.now()
    assert operations._claim(customer_id=clinic.id, delivery_id=delivery_id, now=now), "and here it dies"
    assert not operations.deliver(customer_id=clinic.id, delivery_id=delivery_id, now=now)
    operations.deliver_due(now=now + operations.LEASE)
    assert deliveries(endpoint)[0].state == "delivered"
    assert len(listener.at("/later")) == 1


@pytest.mark.parametrize("how", ["gone", "five days"])
def test_an_address_that_is_gone_or_takes_nothing_for_days_is_told_no_more(cast: Cast, listener: Listener, how: str) -> None:
    listener.answers = lambda post: 410 if how == "gone" else 500
    clinic = cast.clinic()
    endpoint = added(clinic, f"{listener.url}/x")
    now = timezone.now()
    for days in (0, 2, 5):
        [delivery_id] = operations.fan_out(customer_id=clinic.id, event_id=happened(clinic), now=now) or [0]
        operations.deliver(customer_id=clinic.id, delivery_id=delivery_id, now=now + timedelta(days=days))
    assert queries.endpoint(customer_id=clinic.id, endpoint_id=endpoint.id).disabled_at
    assert operations.fan_out(customer_id=clinic.id, event_id=happened(clinic), now=now) == []
    with scope.customer(clinic.id):
        [event] = Event.objects.filter(customer_id=clinic.id, kind="webhook.disabled")
    for _ in range(2):
        rounds.tell_of_terms(event, now=now)
    [notice] = [each for each in notices.notices(customer_id=clinic.id) if each.kind == "webhook_disabled"]
    assert "127.0.0.1 said that it is gone" in words(notice, now=now).sentences[0]
    operations.enable(customer_id=clinic.id, endpoint_id=endpoint.id, actor=clinic.actor, now=now)
    assert len(operations.fan_out(customer_id=clinic.id, event_id=happened(clinic), now=now)) == 1


def test_what_is_removed_is_told_nothing_also_not_what_waited(cast: Cast, listener: Listener) -> None:
    clinic = cast.clinic()
    endpoint = added(clinic, f"{listener.url}/removed")
    [delivery_id] = operations.fan_out(customer_id=clinic.id, event_id=happened(clinic), now=timezone.now())
    operations.remove(customer_id=clinic.id, endpoint_id=endpoint.id, actor=clinic.actor, now=timezone.now())
    operations.deliver(customer_id=clinic.id, delivery_id=delivery_id, now=timezone.now())
    assert listener.at("/removed") == []
    with pytest.raises(NotFound):
        queries.endpoint(customer_id=clinic.id, endpoint_id=endpoint.id)


FORBIDDEN = [
    "http://example.com/hook",
    "ftp://example.com/",
    "https://127.0.0.1/",
    "https://localhost:8000/",
    "https://[::1]/",
    "https://10.0.0.8/",
    "https://192.168.1.1/admin",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::ffff:10.0.0.8]/",
    "https://[fd00::1]/",
    "https://100.64.0.1/",
    "https://[2002:7f00:1::]/",
    "https://0.0.0.0/",
    "https://224.0.0.1/",
    "https://user:pass@example.com/",
    "https://exa mple.com/",
    "https://",
    "nonsense",
    "https://example.com:99999/",
    "https://" + "a" * 3_000,
]


@pytest.mark.parametrize("url", FORBIDDEN)
def test_addresses_inside_our_network_or_of_no_use_are_refused(cast: Cast, url: str) -> None:
    # ASVS 1.3.6
    with pytest.raises(ForbiddenAddress) as refusal:
        added(cast.clinic(), url)
    assert (refusal.value.field, bool(refusal.value.remedy)) == ("url", True)


def test_a_name_that_leads_inside_by_one_of_its_addresses_is_refused_also_later(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["93.184.216.34"]

    def lookup(host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in where]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    clinic = cast.clinic()
    endpoint = added(clinic, "https://hook.example/")
    where.append("10.0.0.8")
    with pytest.raises(ForbiddenAddress):
        added(clinic, "https://hook.example/")
    [delivery_id] = operations.fan_out(customer_id=clinic.id, event_id=happened(clinic), now=timezone.now())
    assert not operations.deliver(customer_id=clinic.id, delivery_id=delivery_id, now=timezone.now())
    assert deliveries(endpoint)[0].problem == "This host is not on the public internet."


def test_a_redirect_is_not_followed(cast: Cast, listener: Listener) -> None:
    listener.answers = lambda post: 302
    clinic = cast.clinic()
    endpoint = added(clinic, f"{listener.url}/moved")
    tasks.fan_out(customer_id=clinic.id, event_id=happened(clinic))
    assert (deliveries(endpoint)[0].state, deliveries(endpoint)[0].status) == ("pending", 302)


def test_another_customers_facts_and_addresses_stay_apart(cast: Cast, listener: Listener) -> None:
    clinic, rival = cast.clinic(), cast.clinic(name="Rival")
    theirs = added(rival, f"{listener.url}/rival")
    tasks.fan_out(customer_id=clinic.id, event_id=happened(clinic))
    assert listener.at("/rival") == []
    for act in (operations.remove, operations.enable):
        with pytest.raises(NotFound):
            act(customer_id=clinic.id, endpoint_id=theirs.id, actor=clinic.actor, now=timezone.now())


def test_kinds_that_there_are_not_and_too_many_addresses_are_refused(cast: Cast, listener: Listener) -> None:
    clinic = cast.clinic()
    with pytest.raises(BadInput) as refusal:
        added(clinic, listener.url, "top_up.exploded")
    assert refusal.value.field == "kinds"
    for turn in range(operations.MOST_ENDPOINTS):
        added(clinic, f"{listener.url}/{turn}")
    with pytest.raises(Conflict):
        added(clinic, listener.url)


def test_each_kind_is_heard_and_each_body_names_its_subject_by_its_public_id() -> None:
    assert {kind for kind, jobs in REACTIONS.items() if tasks.fan_out in jobs} == set(KINDS)
    for kind, known in KINDS.items():
        body = body_of(kind, subject_id=7, data={"name": "Ann", "number": "+1"}, at=timezone.now())
        assert body["data"][f"{known.subject}_id"].startswith(known.prefix)
        assert "Ann" not in json.dumps(body)


def test_three_strikes_tell_the_customers_own_system(cast: Cast, listener: Listener) -> None:
    #
    clinic = cast.clinic()
    endpoint = added(clinic, f"{listener.url}/paused", "automation.paused")
    event_id = happened(clinic, "automation.paused", reason="declined")
    tasks.fan_out(customer_id=clinic.id, event_id=event_id)
    [post] = listener.at("/paused")
    assert json.loads(post.body)["data"]["reason"] == "declined"
    assert deliveries(endpoint)[0].state == "delivered"
