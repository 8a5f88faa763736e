"""Pages for those who are no members: who got an email and wants no more of them, and providers that fetch a picture."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from postmeter.kit.refusals import NotFound
from postmeter.messaging import mailroom, media
from postmeter.messaging.addresses import read_media_url, read_token


@csrf_exempt
def stop(request: HttpRequest, token: str) -> HttpResponse:
    """GET /stop/<token>: asks; looking at it changes nothing, for mail servers open links. POST: no more emails (RFC 8058),
    or with `only` no more of its kind.

    Without a session or a cookie: the address itself says for whom it speaks, and the mail program sends it by one press.
    """
    pair = read_token(token)
    if pair is None:
        raise NotFound("There is no such email.", remedy="Open the link as it stands in the email.")
    name, address = mailroom.whose(customer_id=pair[0], message_id=pair[1])
    kind, reach = mailroom.stops(customer_id=pair[0], message_id=pair[1], now=timezone.now())
    only = "only" in request.POST
    if request.method == "POST":
        mailroom.unsubscribe(
            customer_id=pair[0], message_id=pair[1], source="unsubscribe link", now=timezone.now(), only_its_kind=only
        )
    done = request.method == "POST"
    shown = {"name": name, "address": address, "done": done, "only": only, "kind": kind, "reach": reach}
    answer = render(request, "web/stop.html", shown)
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-Robots-Tag"] = "noindex"
    return answer


@csrf_exempt
def agree(request: HttpRequest, token: str) -> HttpResponse:
    """GET /agree/<token>: shows what is asked, and changes nothing. POST: the recipient agrees to get emails (S-050, A-72)."""
    pair = read_token(token)
    if pair is None:
        raise NotFound("There is no such email.", remedy="Open the link as it stands in the email.")
    name, address = mailroom.whose(customer_id=pair[0], message_id=pair[1])
    if request.method == "POST":
        mailroom.agree(customer_id=pair[0], message_id=pair[1], now=timezone.now())
    answer = render(request, "web/agree.html", {"name": name, "address": address, "done": request.method == "POST"})
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-Robots-Tag"] = "noindex"
    return answer


@require_safe
def picture(request: HttpRequest, token: str) -> HttpResponse:
    """GET /media/<token>: one file, for the provider that carries it."""
    found = media.content(**dict(zip(("customer_id", "media_id"), read_media_url(token), strict=True)))
    answer = HttpResponse(found.content, content_type=found.content_type)
    answer["Cache-Control"] = "private, no-store"
    return answer
