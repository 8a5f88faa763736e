"""The page of webhooks."""

import html

from postmeter.customers.models import Role
from postmeter.db.public_ids import public_ids
from postmeter.webhooks import queries, signing
from tests.cast import Cast
from tests.simulation.listener import Listener
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of

PAGE = "/settings/webhooks/"


def test_an_address_is_added_tried_seen_and_removed(cast: Cast, confirmed: SignedIn, settings: object) -> None:
    settings.WEBHOOKS_LOCAL = True  # type: ignore[attr-defined]
    clinic = cast.clinic()
    browser = confirmed(clinic.master)
    assert "No address yet." in words_of(browser.get(PAGE).content.decode())
    with Listener() as listener:
        made = browser.post(PAGE, {"url": f"{listener.url}/hook", "kinds": ["automation.paused"]})
        [row] = queries.endpoints(customer_id=clinic.id)
        shown = html.unescape(words_of(browser.get(made["Location"]).content.decode()))
        assert "The automatic top-up is paused" in shown
        assert signing.secret_of(row.id) in html.unescape(browser.get(made["Location"]).content.decode())
        assert "The test was taken." in words_of(browser.post(made["Location"], {"act": "test"}, follow=True).content.decode())
        listener.answers = lambda post: 500
        failed = words_of(browser.post(made["Location"], {"act": "test"}, follow=True).content.decode())
        assert "The test was not taken" in failed and "500" in failed and "It has taken nothing since" in failed
        delivered = queries.deliveries(customer_id=clinic.id, endpoint_id=row.id)[-1]
        again = f"{made['Location']}{public_ids().encode('WD', delivered.id)}/again/"
        assert "It is sent again." in words_of(browser.post(again, follow=True).content.decode())
        gone = browser.post(made["Location"], {"act": "remove"}, follow=True)
        assert "Removed." in words_of(gone.content.decode())


def test_a_wrong_address_is_refused_beside_its_field(cast: Cast, confirmed: SignedIn) -> None:
    browser = confirmed(cast.clinic().master)
    for url in ("", "http://example.com/", "https://127.0.0.1/", "https://10.0.0.1/"):
        refused = browser.post(PAGE, {"url": url, "kinds": []})
        assert refused.status_code == 422, url
        assert "has-error" in refused.content.decode()


def test_only_who_manages_keys_sees_it_and_nobody_anothers(cast: Cast, confirmed: SignedIn, settings: object) -> None:
    settings.WEBHOOKS_LOCAL = True  # type: ignore[attr-defined]
    clinic, rival = cast.clinic(), cast.clinic(name="Rival")
    sender = cast.member(clinic, Role.SENDER)
    assert confirmed(sender).get(PAGE).status_code == 403
    made = confirmed(clinic.master).post(PAGE, {"url": "http://127.0.0.1:9/x", "kinds": []})
    assert confirmed(rival.master).get(made["Location"]).status_code == 404
