"""The street of phones and the index, as bytes; how they look is for the browser."""

import re
from html import unescape

import requests

from postmeter.simulator.faults import Fault
from postmeter.simulator.process import SimulatorProcess
from postmeter.simulator.stripe.cards import CARDS
from postmeter.simulator.twilio.numbers import MAGIC
from tests.simulation.conftest import Carrier, a_number, settled
from tests.simulation.listener import Listener, eventually


def page(simulator: SimulatorProcess, path: str) -> str:
    answer = requests.get(simulator.url + path, timeout=20)
    assert answer.status_code == 200
    assert "'unsafe-inline'" not in answer.headers["content-security-policy"]
    assert not re.search(r"<style|<script(?! src)|\son\w+=|\sstyle=", answer.text)
    return unescape(answer.text)


def test_the_index_lists_every_number_card_and_fault(simulator: SimulatorProcess) -> None:
    text = page(simulator, "/")
    assert [thing for thing in (*MAGIC, *CARDS, *Fault) if f"<code>{thing}</code>" not in text] == []


def test_the_street_shows_what_each_phone_got_newest_first(simulator: SimulatorProcess, carrier: Carrier) -> None:
    good, bad = a_number(), a_number("3007")
    carrier.send(good, "Your cat is <ready>")
    carrier.send(bad, "Buy now")
    eventually(lambda: "undelivered (30007)" in page(simulator, "/street"))
    settled(simulator)
    raw = requests.get(f"{simulator.url}/street", timeout=20).text
    assert "Your cat is &lt;ready&gt;" in raw
    assert raw.index(bad) < raw.index(good)
    alone = page(simulator, f"/street?q={good[-8:]}")
    assert good in alone
    assert bad not in alone
    assert "30007" in page(simulator, f"/street/{bad}")


def test_the_street_pages_through_thousands_of_phones_and_shows_each_once(simulator: SimulatorProcess, carrier: Carrier) -> None:
    numbers = [a_number() for _ in range(60)]
    for number in numbers:
        carrier.send(number)
    seen: list[str] = []
    path: str | None = "/street"
    while path and not set(numbers) <= set(seen):
        text = page(simulator, path)
        seen += re.findall(r'<h2><a href="/street/(\+\d+)"', text)
        older = re.search(r'href="(/street\?q=&before=\d+)"', text)
        path = older[1] if older else None
    assert [number for number in seen if number in numbers] == numbers[::-1]


def test_one_can_answer_from_a_phone(simulator: SimulatorProcess, carrier: Carrier, listener: Listener) -> None:
    phone = a_number()
    carrier.send(phone, "Can you come at 3?")
    answer = requests.post(f"{simulator.url}/street/{phone}", {"to": "+15005550006", "body": "STOP"}, timeout=20)
    assert answer.status_code == 200
    assert "STOP" in answer.text
    post = eventually(lambda: [post for post in listener.at("/inbound") if post.form["From"] == phone])[0]
    assert (post.form["Body"], post.form["To"]) == ("STOP", "+15005550006")


def test_people_can_move_the_clock_on_the_index(simulator: SimulatorProcess) -> None:
    before = simulator.control("GET", "/clock")["now"]
    assert requests.post(f"{simulator.url}/clock", {"advance": "86400"}, timeout=20).status_code == 200
    assert simulator.control("GET", "/clock")["now"] >= before + 86400


def test_pages_that_do_not_exist_are_not_found(simulator: SimulatorProcess) -> None:
    paths = ["/static/../pages.py", "/static/pages.py", "/checkout/cs_test_unknown", "/authenticate/pi_unknown", "/elsewhere"]
    assert {requests.get(simulator.url + path, timeout=20).status_code for path in paths} == {404}
