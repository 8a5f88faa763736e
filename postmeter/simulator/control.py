"""`/control`: the clock, the fault switch and the ground truth, as JSON, for tests and for whoever tries things out."""

from typing import Annotated, Any

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.params import Parameter

from postmeter.kit.refusals import BadInput, Refusal
from postmeter.simulator.mail import Mailboxes
from postmeter.simulator.paypal.door import PayPalDoor
from postmeter.simulator.sinch.door import SinchDoor
from postmeter.simulator.stripe.door import StripeDoor
from postmeter.simulator.stripe.errors import StripeError
from postmeter.simulator.twilio.calls import Telephones
from postmeter.simulator.twilio.messages import Carrier
from postmeter.simulator.world import KNOBS, World


class ClockChange(msgspec.Struct, forbid_unknown_fields=True):
    """`now` in seconds since 1970, or `advance` in seconds (negative: back); `rate` in simulated seconds per second."""

    now: float | None = None
    advance: float | None = None
    rate: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None


class Inbound(msgspec.Struct, forbid_unknown_fields=True):
    """What a person writes to one of our numbers."""

    phone: str
    to: str
    body: str
    pictures: list[bytes] = []  # in base64


class Pressed(msgspec.Struct, forbid_unknown_fields=True):
    """A key that somebody presses on a call."""

    phone: str
    key: str


class FaxIn(msgspec.Struct, forbid_unknown_fields=True):
    """What a fax machine sends us: a PDF in base64; `along`: its callback brings it, else it is to be fetched."""

    phone: str
    to: str
    content: bytes
    along: bool = True


class Letter(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody mails us; `files` by name, as text."""

    mailbox: str
    to: str
    text: str
    subject: str = "Re:"
    files: dict[str, str] = {}


class Swap(msgspec.Struct, forbid_unknown_fields=True):
    number: str


class NewDispute(msgspec.Struct, forbid_unknown_fields=True):
    """For a charge or a payment intent; `amount` in minor units, all of it if not given."""

    charge: str | None = None
    payment_intent: str | None = None
    reason: str = "fraudulent"
    inquiry: bool = False
    amount: int | None = None


class DisputeMove(msgspec.Struct, forbid_unknown_fields=True):
    """To `needs_response`, `won` or `lost`."""

    status: str


class MadeUpEvent(msgspec.Struct, forbid_unknown_fields=True):
    """An event about something the other side may never have heard of (F40)."""

    type: str
    object: dict[str, Any]


def control(
    world: World,
    carrier: Carrier,
    telephones: Telephones,
    faxes: SinchDoor,
    gateway: StripeDoor,
    paypal: PayPalDoor,
    mailboxes: Mailboxes,
) -> Router:
    log = world.log

    def clock_now() -> dict[str, float]:
        return {"now": world.clock.now(), "rate": world.clock.rate}

    @get("/clock")
    async def read_clock() -> dict[str, float]:
        return clock_now()

    @post("/clock", status_code=200)
    async def move_clock(data: ClockChange) -> dict[str, float]:
        if data.now is not None and data.advance is not None:
            raise BadInput("Give now or advance, not both.", field="advance")
        now = world.clock.now() + data.advance if data.advance is not None else data.now
        world.move_clock(now=now, rate=data.rate)
        return clock_now()

    @get("/settings")
    async def read_settings() -> dict[str, Any]:
        return {name: world.knob(name) for name in KNOBS}

    @patch("/settings")
    async def change_settings(data: dict[str, Any]) -> dict[str, Any]:
        world.turn(data)
        return {name: world.knob(name) for name in KNOBS}

    @get("/faults")
    async def list_faults() -> dict[str, Any]:
        fired = log.rows(
            "SELECT json_extract(facts, '$.service') || '.' || json_extract(facts, '$.fault') AS name, count(*) AS times"
            " FROM log WHERE kind = 'fault.fired' GROUP BY name"
        )
        return {"rules": world.switch.listing(), "fired": {row["name"]: row["times"] for row in fired}}

    @post("/faults")
    async def add_fault(data: dict[str, Any]) -> dict[str, int]:
        return {"id": world.switch.add(data)}

    @delete("/faults")
    async def remove_faults() -> None:
        world.switch.remove()

    @delete("/faults/{number:int}")
    async def remove_fault(number: int) -> None:
        world.switch.remove(number)

    @get("/log")
    async def read_log(
        kind: str = "*", subject: str | None = None, after: int = 0, limit: Annotated[int, Parameter(ge=1, le=100_000)] = 1000
    ) -> dict[str, Any]:
        return {"entries": log.entries(kind=kind, subject=subject, after=after, limit=limit)}

    @get("/log/messages")
    async def sent_messages(
        to: str | None = None, after: int = 0, limit: Annotated[int, Parameter(ge=1, le=100_000)] = 1000
    ) -> dict[str, Any]:
        return _sent(world, to=to, after=after, limit=limit)

    @get("/log/payments")
    async def taken_payments() -> dict[str, Any]:
        return {
            "charges": log.entries(kind="charge.*", limit=1_000_000),
            "refunds": log.entries(kind="refund.*", limit=1_000_000),
            "disputes": log.entries(kind="dispute.*", limit=1_000_000),
            "taken": _taken(world),
        }

    @post("/flush", status_code=200)
    async def flush() -> dict[str, Any]:
        await world.agenda.flush()
        return idleness()

    def idleness() -> dict[str, Any]:
        pending = world.agenda.pending()
        return {**pending, "idle": not (pending["due"] or pending["later"] or pending["under_way"])}

    @get("/idle")
    async def idle() -> dict[str, Any]:
        return idleness()

    @post("/smpp/drop", status_code=200)
    async def drop_sessions() -> dict[str, int]:
        return {"dropped": carrier.centre.drop() if carrier.centre else 0}

    @post("/inbound")
    async def write_in(data: Inbound) -> dict[str, Any]:
        return carrier.receive(phone=data.phone, to=data.to, body=data.body, pictures=data.pictures)

    @post("/fax", request_max_body_size=40_000_000)
    async def fax_in(data: FaxIn) -> dict[str, Any]:
        return faxes.receive(phone=data.phone, to=data.to, content=data.content, along=data.along)

    @post("/press", status_code=200)
    async def press_a_key(data: Pressed) -> dict[str, bool]:
        return {"heard": telephones.press(data.phone, data.key)}

    @post("/mail", status_code=200)
    async def mail_in(data: Letter) -> None:
        files = {name: text.encode() for name, text in data.files.items()}
        mailboxes.write(mailbox=data.mailbox, to=data.to, subject=data.subject, text=data.text, files=files)

    @post("/payment_methods/{method_id:str}", status_code=200)
    async def swap_card(method_id: str, data: Swap) -> dict[str, Any]:
        return gateway.checkout.swap(method_id, data.number)

    @post("/paypal/{token:str}", status_code=200)
    async def swap_account(token: str, data: Swap) -> dict[str, Any]:
        with log.transaction():
            return paypal.swap(token, data.number)

    @post("/paypal/captures/{capture_id:str}/refund", status_code=200)
    async def refund_capture(capture_id: str) -> dict[str, Any]:
        with log.transaction():
            return paypal.give_back(capture_id)

    @post("/paypal/captures/{capture_id:str}/reverse", status_code=200)
    async def reverse_capture(capture_id: str) -> dict[str, Any]:
        with log.transaction():
            return paypal.reverse(capture_id)

    @post("/disputes")
    async def dispute(data: NewDispute) -> dict[str, Any]:
        with log.transaction():
            charge = data.charge or gateway.store.find("payment_intent", data.payment_intent or "")["latest_charge"]
            return gateway.payments.dispute(charge, reason=data.reason, inquiry=data.inquiry, amount=data.amount)

    @post("/disputes/{dispute_id:str}", status_code=200)
    async def move_dispute(dispute_id: str, data: DisputeMove) -> dict[str, Any]:
        with log.transaction():
            return gateway.payments.move_dispute(dispute_id, data.status)

    @post("/events")
    async def make_up_event(data: MadeUpEvent) -> dict[str, Any]:
        with log.transaction():
            return gateway.events.emit(data.type, {"id": "made_up", **data.object})

    handlers = [
        *(read_clock, move_clock, read_settings, change_settings, list_faults, add_fault, remove_faults, remove_fault, read_log),
        *(sent_messages, taken_payments, flush, idle, write_in, swap_card, dispute, move_dispute, make_up_event),
        *(swap_account, refund_capture, reverse_capture, mail_in, drop_sessions, press_a_key, fax_in),
    ]
    return Router("/control", route_handlers=handlers, exception_handlers={Refusal: _refused, StripeError: _stripe_said_no})


def _refused(_: object, refusal: Refusal) -> Response[dict[str, Any]]:
    content = {"code": refusal.code, "text": refusal.text, "field": refusal.field, "remedy": refusal.remedy}
    return Response(content, status_code=refusal.status)


def _stripe_said_no(_: object, error: StripeError) -> Response[dict[str, Any]]:
    return Response({"error": error.error}, status_code=error.status)


def _sent(world: World, *, to: str | None, after: int, limit: int) -> dict[str, Any]:
    """What was really taken and sent, oldest first; `repeated` are the pairs of (to, body) that were accepted more than once."""
    rows = world.log.rows(
        "SELECT *, CAST(num_segments AS INTEGER) AS segments FROM messages WHERE direction = 'outbound-api' AND id > :after"
        " AND (:to IS NULL OR recipient = :to) ORDER BY id LIMIT :limit",
        {"after": after, "to": to, "limit": limit},
    )
    repeated = world.log.rows(
        "SELECT recipient AS 'to', body, count(*) AS times FROM messages WHERE direction = 'outbound-api'"
        " AND (:to IS NULL OR recipient = :to) GROUP BY recipient, body HAVING count(*) > 1",
        {"to": to},
    )
    names = (
        "id",
        "sid",
        "sender",
        "body",
        "segments",
        "status",
        "error_code",
        "price_micros",
        "callback_url",
        "created",
        "sent",
        "updated",
    )
    return {
        "messages": [{"to": row["recipient"], **{name: row[name] for name in names}} for row in rows],
        "repeated": [dict(row) for row in repeated],
    }


def _taken(world: World) -> list[dict[str, Any]]:
    """Per currency: charges that succeeded, refunds and disputes withdrawn less reinstated, in minor units."""
    rows = world.log.rows(
        "SELECT json_extract(facts, '$.currency') AS currency, kind, sum(json_extract(facts, '$.amount')) AS amount,"
        " count(*) AS times FROM log WHERE kind IN ('charge.succeeded', 'refund.created', 'dispute.funds_withdrawn',"
        " 'dispute.funds_reinstated') GROUP BY currency, kind"
    )
    return [dict(row) for row in rows]
