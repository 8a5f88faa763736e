"""Server-rendered pages. Scripts and styles are files of ours; nothing is inline and nothing comes from elsewhere."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from django.template import Context, Engine
from litestar import Response, get, post
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import Body, Parameter
from litestar.response import Redirect

from postmeter.simulator.faults import ON_CALLBACKS, Fault
from postmeter.simulator.mail import FATES, Mailboxes
from postmeter.simulator.pages.machines import picture_of, sample
from postmeter.simulator.pages.street import phone_of, phones_of
from postmeter.simulator.paypal.accounts import ACCOUNTS
from postmeter.simulator.paypal.door import PayPalDoor, PayPalError
from postmeter.simulator.sinch.door import SinchDoor
from postmeter.simulator.stripe.cards import BANK_ACCOUNTS, CARDS
from postmeter.simulator.stripe.currencies import shown
from postmeter.simulator.stripe.door import StripeDoor
from postmeter.simulator.stripe.errors import StripeError
from postmeter.simulator.twilio.calls import PEOPLE, Telephones
from postmeter.simulator.twilio.messages import Carrier
from postmeter.simulator.twilio.numbers import MAGIC
from postmeter.simulator.world import World

HERE = Path(__file__).parent
STATIC = {"simulator.css": "text/css", "street.js": "text/javascript", "checkout.js": "text/javascript"}
POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("style", "script", "img", "connect")),
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
ENGINE = Engine(dirs=[str(HERE / "templates")])
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


def pages(
    world: World,
    carrier: Carrier,
    telephones: Telephones,
    faxes: SinchDoor,
    gateway: StripeDoor,
    paypal: PayPalDoor,
    mailboxes: Mailboxes,
) -> list[HTTPRouteHandler]:
    def page(name: str, status: int = 200, **facts: Any) -> Response[str]:
        now = datetime.fromtimestamp(world.clock.now(), UTC)
        html = ENGINE.get_template(name).render(
            Context({"now": now.strftime("%a %-d %b %Y, %H:%M:%S"), "rate": world.clock.rate, **facts}, use_l10n=False)
        )
        headers = {"content-security-policy": POLICY, "referrer-policy": "same-origin", "cache-control": "no-store"}
        return Response(html, status_code=status, media_type="text/html; charset=utf-8", headers=headers)

    @get("/")
    async def index() -> Response[str]:
        credentials = world.settings.credentials
        return page(
            "index.html",
            numbers=MAGIC.items(),
            people=PEOPLE.items(),
            mailboxes=FATES.items(),
            cards=CARDS.values(),
            accounts=BANK_ACCOUNTS.values(),
            paypal_accounts=ACCOUNTS.values(),
            request_faults=[fault for fault in Fault if fault not in ON_CALLBACKS],
            callback_faults=[fault for fault in Fault if fault in ON_CALLBACKS],
            account=credentials.twilio_account_sid,
            url=world.settings.public_url,
            pending=world.agenda.pending(),
            counts=_counts(world),
        )

    @post("/clock")
    async def move_clock(data: Form) -> Redirect:
        world.move_clock(now=world.clock.now() + float(data.get("advance", "0")))
        return Redirect("/", status_code=303)

    @get("/street")
    async def street(q: str = "", before: Annotated[int | None, Parameter(ge=1)] = None) -> Response[str]:
        return page("street.html", q=q, before=before, **phones_of(world, q=q, before=before))

    @get("/street/{number:str}")
    async def phone(number: str) -> Response[str]:
        return page("phone.html", live=telephones.live(number), **phone_of(world, number))

    @post("/street/{number:str}/fax")
    async def send_fax(number: str, data: Form) -> Redirect:
        faxes.receive(phone=number, to=data["to"], content=sample(number, int(data.get("pages", "1"))))
        return Redirect(f"/street/{number}", status_code=303)

    @get("/street/faxes/{fax_id:str}/{page:int}")
    async def fax_page(fax_id: str, page: int) -> Response[bytes]:
        content = picture_of(faxes.pages(fax_id), page)
        if not content:
            raise NotFoundException()
        return Response(content, media_type="image/png", headers={"cache-control": "max-age=600"})

    @post("/street/{number:str}/keys")
    async def press(number: str, data: Form) -> Redirect:
        telephones.press(number, data.get("key", ""))
        return Redirect(f"/street/{number}", status_code=303)

    @post("/street/{number:str}")
    async def answer(number: str, data: Form) -> Redirect:
        if data.get("body", "").strip() and data.get("to") and "@" in number:
            mailboxes.write(mailbox=number, to=data["to"], subject="Re: your email", text=data["body"])
        elif data.get("body", "").strip() and data.get("to"):
            carrier.receive(phone=number, to=data["to"], body=data["body"])
        return Redirect(f"/street/{number}", status_code=303)

    @get("/checkout/{session_id:str}")
    async def checkout(session_id: str) -> Response[str]:
        return checkout_page(session_id)

    @post("/checkout/{session_id:str}")
    async def save_card(session_id: str, data: Form) -> Response[Any]:
        with world.log.transaction():
            try:
                return Redirect(gateway.checkout.pay(session_id, **_card_in(data)), status_code=303)
            except (StripeError, ValueError) as error:  # a refusal by the bank is kept, like a success
                return checkout_page(session_id, error=str(error), given=data, status=422)

    def checkout_page(
        session_id: str, *, error: str = "", given: dict[str, str] | None = None, status: int = 200
    ) -> Response[str]:
        with world.log.transaction():
            session = _found(gateway.checkout.session, session_id)
        accounts = BANK_ACCOUNTS.values() if "us_bank_account" in session["payment_method_types"] else []
        return page(
            "checkout.html", status, session=session, error=error, given=given or {}, cards=CARDS.values(), accounts=accounts
        )

    @get("/authenticate/{intent_id:str}")
    async def bank(intent_id: str) -> Response[str]:
        intent = _found(gateway.store.find, _kind(intent_id), intent_id)
        return page(
            "authenticate.html", intent=intent, amount=shown(intent["amount"], intent["currency"]) if "amount" in intent else ""
        )

    @post("/authenticate/{intent_id:str}")
    async def authenticated(intent_id: str, data: Form) -> Response[Any]:
        passed = data.get("answer") == "yes"
        with world.log.transaction():
            _found(gateway.store.find, _kind(intent_id), intent_id)
            if _kind(intent_id) == "setup_intent":
                intent = gateway.checkout.authenticated(intent_id, passed=passed)
                back = gateway.checkout.finish_for(intent)
            else:
                intent, back = gateway.payments.authenticated(intent_id, passed=passed), None
        back = back or _return_address(gateway.store.inner(intent_id).get("return_url"), intent, passed=passed)
        return Redirect(back, status_code=303) if back else page("authenticate.html", intent=intent, amount="")

    @get("/paypal/approve/{thing_id:str}")
    async def paypal_page(thing_id: str) -> Response[str]:
        inner = gateway.store.inner(thing_id)
        if not inner:
            raise NotFoundException()
        chosen = [ACCOUNTS[inner["email"]]] if inner.get("email") in ACCOUNTS else list(ACCOUNTS.values())
        return page("paypal.html", accounts=chosen, back=inner.get("cancel_url") or inner["return_url"])

    @post("/paypal/approve/{thing_id:str}")
    async def paypal_approved(thing_id: str, data: Form) -> Response[Any]:
        with world.log.transaction():
            try:
                return Redirect(paypal.approve(thing_id, data.get("email", "")), status_code=303)
            except PayPalError as error:
                raise NotFoundException(str(error)) from error

    @get("/favicon.ico", status_code=204)
    async def no_icon() -> None:
        """Browsers ask for one where pictures of ours may be shown."""

    @get("/static/{name:str}")
    async def static(name: str) -> Response[bytes]:
        if name not in STATIC:
            raise NotFoundException()
        return Response((HERE / "static" / name).read_bytes(), media_type=STATIC[name], headers={"cache-control": "max-age=60"})

    return [
        index,
        move_clock,
        street,
        phone,
        answer,
        press,
        send_fax,
        fax_page,
        checkout,
        save_card,
        bank,
        authenticated,
        paypal_page,
        paypal_approved,
        no_icon,
        static,
    ]


def _found(find: Callable[..., dict[str, Any]], *names: str) -> dict[str, Any]:
    try:
        return find(*names)
    except StripeError as error:
        raise NotFoundException(str(error)) from error


def _kind(intent_id: str) -> str:
    return "setup_intent" if intent_id.startswith("seti_") else "payment_intent"


def _card_in(form: dict[str, str]) -> dict[str, Any]:
    """The card or bank account in the hosted page's form; raises ValueError with words for the person."""
    if form.get("account"):
        return {"number": form["account"], "month": 12, "year": 99, "name": form.get("name") or None}
    month, _, year = form.get("expiry", "").replace(" ", "").partition("/")
    if not (month.isdigit() and year.isdigit()):
        raise ValueError("Your card's expiry date is incomplete: write it as 12 / 34.")
    if not (form.get("cvc", "").isdigit() and len(form["cvc"]) in (3, 4)):
        raise ValueError("Your card's security code is incomplete: it has three or four digits.")
    return {"number": form.get("number", ""), "month": int(month), "year": int(year), "name": form.get("name") or None}


def _return_address(url: str | None, intent: dict[str, Any], *, passed: bool) -> str | None:
    """The caller's address with what Stripe adds to it."""
    if not url:
        return None
    kind = intent["object"]
    facts = {
        kind: intent["id"],
        f"{kind}_client_secret": intent["client_secret"],
        "redirect_status": "succeeded" if passed else "failed",
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(facts)}"


def _counts(world: World) -> dict[str, int]:
    row = world.log.one(
        "SELECT (SELECT count(*) FROM messages) AS messages, (SELECT count(DISTINCT phone) FROM messages) AS phones,"
        " (SELECT count(*) FROM log WHERE kind = 'charge.succeeded') AS charges,"
        " (SELECT count(*) FROM log WHERE kind = 'fault.fired') AS faults"
    )
    return dict(row)
