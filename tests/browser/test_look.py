"""The look keeps its promises: contrast, no inline code, readable by everybody, small."""

import gzip
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.staticfiles import finders
from django.http import HttpRequest
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from postmeter.web import drawing
from postmeter.web.style import style
from postmeter.web.templatetags.postmeter import when
from postmeter.web.theme import choose_theme

WEB = Path(drawing.__file__).parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
FIRST_PAGE_BYTES_AT_MOST = 100_000


# --- colours


def themes() -> dict[str, dict[str, str]]:
    blocks = (WEB / "css/tokens.css").read_text().split("@plugin")[1:]
    return {re.search(r'name: "(\w+)"', block)[1]: dict(re.findall(r"(--[\w-]+): (#\w{6})", block)) for block in blocks}


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


GROUNDS = ["--color-base-100", "--color-base-200", "--surface"]
TEXTS = ["--color-base-content", "--muted", "--color-primary", "--color-error", "--color-success", "--color-warning"]
TINTED = {"primary": "--tint-blue", "error": "--tint-red", "success": "--tint-green", "warning": "--tint-amber"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_from_every_ground(theme: str) -> None:
    colours = themes()[theme]
    pairs = [(text, ground) for text in TEXTS for ground in GROUNDS]
    pairs += [(f"--color-{name}", tint) for name, tint in TINTED.items()]
    pairs += [("--color-base-content", tint) for tint in TINTED.values()]
    pairs += [(f"--color-{name}-content", f"--color-{name}") for name in ("primary", "error", "success", "warning", "neutral")]
    weak = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_edges_of_fields_can_be_seen(theme: str) -> None:
    colours = themes()[theme]
    assert min(contrast(colours["--field-line"], colours[ground]) for ground in ("--surface", "--color-base-100")) >= 3


# --- what the content security policy forbids


@pytest.mark.parametrize("path", sorted(WEB.rglob("*.html")), ids=lambda path: str(path.relative_to(WEB)))
def test_no_template_has_inline_code_or_style(path: Path) -> None:
    source = re.sub(r"{% comment %}.*?{% endcomment %}|{#.*?#}", "", path.read_text(), flags=re.S)
    assert not re.search(r"\sstyle\s*=|\son[a-z]+\s*=\s*[\"']|<style|javascript:|https?://", source)
    inline = [tag for tag in re.findall(r"<script[^>]*>", source) if "src=" not in tag and "application/json" not in tag]
    assert inline == []


# --- the meter


micros = st.integers(0, 10**15)


@dataclass
class Figures:
    available_micros: int
    held_micros: int
    incoming_micros: int
    limit_micros: int
    debt_micros: int

    @property
    def posted_micros(self) -> int:
        return self.available_micros + self.held_micros - self.limit_micros - self.debt_micros


@given(st.builds(Figures, micros, micros, micros, micros, micros))
def test_the_meter_shows_what_is_there_and_stays_inside_its_bar(figures: Figures) -> None:
    drawn = drawing.meter(figures, [drawing.Threshold(20_000_000, "Auto top-up")])
    kinds = {part.kind for part in drawn.segments}
    assert ("held" in kinds) == (figures.held_micros > 0)
    assert ("incoming" in kinds) == (figures.incoming_micros > 0)
    assert ("owed" in kinds) == (figures.debt_micros > 0)
    assert all(0 <= float(part.x) <= 100 for part in (*drawn.segments, *drawn.ticks))
    assert sum(float(part.width) for part in drawn.segments) <= 100 + 5 * 0.62


@given(total=st.integers(0, 10**6), data=st.data())
def test_progress_reads_a_hundred_only_at_the_end(total: int, data: st.DataObject) -> None:
    done = data.draw(st.integers(0, total))
    failed = data.draw(st.integers(0, total - done))
    drawn = drawing.progress(total=total, done=done, failed=failed)
    assert drawn.left == total - done - failed
    assert (drawn.percent == 100) == (drawn.left == 0)


@given(st.integers(1, 10**15))
def test_the_axis_of_a_chart_is_a_round_amount_above_every_bar(highest: int) -> None:
    top = drawing.day_chart([(SimpleNamespace(), highest)]).lines[-1].micros  # type: ignore[list-item]
    assert highest <= top <= 2 * highest
    assert str(top).strip("0") in {"1", "2", "4", "6", "8"}


# --- words


def rendered(source: str, **context: object) -> str:
    return Template("{% load postmeter %}" + source).render(Context(context))


def test_a_negative_amount_is_said_in_words_too() -> None:
    assert '<span class="sr-only">minus $3.20</span>' in rendered('{% signed_amount n "USD" %}', n=-3_200_000)


def test_prices_of_a_column_have_the_same_decimals() -> None:
    assert rendered('{{ a|unit_price:"USD" }} {{ b|unit_price:"USD" }}', a=7_900, b=10_000) == "$0.0079 $0.0100"


def test_a_time_names_its_zone_also_where_the_zone_has_no_letters() -> None:
    from datetime import UTC, datetime

    moment = datetime(2026, 11, 23, 9, 46, tzinfo=UTC)
    assert "20:46 AEDT</time>" in when(moment, "Australia/Sydney")
    assert "13:46 Asia/Dubai</time>" in when(moment, "Asia/Dubai")


def test_a_page_of_a_list_keeps_its_filters_in_the_address() -> None:
    request = RequestFactory().get("/messages/", {"state": "failed", "before": "old"})
    assert rendered('{% here_with before="new" after=None %}', request=request) == "?state=failed&amp;before=new"


def test_a_choice_of_theme_leads_nowhere_but_here() -> None:
    answer = choose_theme(RequestFactory().post("/theme", {"theme": "dark", "next": "https://elsewhere.example/"}))
    assert (answer["Location"], answer.cookies["theme"].value) == ("/", "dark")


@pytest.mark.parametrize("code", [400, 403, 404, 500, 503])
def test_an_error_page_needs_nothing_to_stand(code: int) -> None:
    assert f'<p class="error-code">{code}</p>' in render_to_string(f"{code}.html")


# --- in a browser


@pytest.fixture
def page_request() -> HttpRequest:
    request = RequestFactory().get("/style/")
    request.user = SimpleNamespace(__str__=lambda: "ana@example.org", is_authenticated=False)  # type: ignore[assignment]
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]
    return request


@pytest.fixture
def browser() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


def serve(page: object, html: bytes) -> dict[str, int]:
    """Answers the page and its static files without a server. The value fills with the compressed bytes of each."""
    sizes: dict[str, int] = {}

    def answer(route: object) -> None:
        path = route.request.url.split("look.example", 1)[1]  # type: ignore[attr-defined]
        body = html if path == "/style/" else Path(finders.find(path.removeprefix("/static/"))).read_bytes()
        sizes[path] = len(body if path.endswith(".woff2") else gzip.compress(body))
        kind = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "woff2": "font/woff2"}.get(
            path.rsplit(".")[-1]
        )
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'"
        )
        route.fulfill(body=body, headers={"content-type": kind or "text/html", "content-security-policy": policy})  # type: ignore[attr-defined]

    page.route("http://look.example/**", answer)  # type: ignore[attr-defined]
    return sizes


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_part_is_readable_by_everybody_at_every_width(browser, page_request: HttpRequest, scheme: str, width: int) -> None:  # type: ignore[no-untyped-def]
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sizes = serve(page, style(page_request).content)
    page.goto("http://look.example/style/", wait_until="networkidle")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert sum(sizes.values()) < FIRST_PAGE_BYTES_AT_MOST, sizes
