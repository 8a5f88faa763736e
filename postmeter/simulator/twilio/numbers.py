"""Magic numbers: what happens to a text is decided by the last four digits of its recipient, in any country."""

from dataclasses import dataclass

from postmeter.simulator.faults import Fault

DAY = 86400.0

ERRORS = {
    20001: "Parameter is missing or invalid",
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    21205: "Url is not a valid URL",
    21211: "Invalid 'To' Phone Number",
    21212: "Invalid 'From' Number",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
    21602: "Message body is required",
    21603: "A 'From' phone number is required",
    21604: "A 'To' phone number is required",
    21609: "The StatusCallback URL is not a valid URL",
    21610: "Attempt to send to unsubscribed recipient",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Carrier violation",
    30008: "Unknown error",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A state that the message reaches `after` seconds later than usual, and the fault on its callback."""

    status: str
    error_code: int | None = None
    after: float = 0.0
    fault: Fault | None = None


QUEUED, SENT, DELIVERED = Step("queued"), Step("sent"), Step("delivered")


@dataclass(frozen=True, slots=True)
class Fate:
    """`refusal` is answered at once; `fault` strikes the request, the first `times` times (None: always)."""

    meaning: str
    steps: tuple[Step, ...] = (QUEUED, SENT, DELIVERED)
    refusal: int | None = None
    fault: Fault | None = None
    times: int | None = None
    extra_segments: int = 0
    price_factor: int = 1
    hidden_seconds: float = 0.0


def _undelivered(code: int) -> Fate:
    return Fate(f"Accepted, sent, then undelivered with error {code}: {ERRORS[code]}", (QUEUED, SENT, Step("undelivered", code)))


def _refused(code: int) -> Fate:
    return Fate(f"Refused at once with error {code}: {ERRORS[code]}", refusal=code)


USUAL = Fate("Queued, sent, delivered")

MAGIC: dict[str, Fate] = {
    "1211": _refused(21211),
    "1408": _refused(21408),
    "1610": _refused(21610),
    "1614": _refused(21614),
    "3001": Fate(f"Accepted, then failed at the carrier with error 30001: {ERRORS[30001]}", (QUEUED, Step("failed", 30001))),
    "3003": _undelivered(30003),
    "3004": _undelivered(30004),
    "3005": _undelivered(30005),
    "3006": _undelivered(30006),
    "3007": _undelivered(30007),
    "3008": _undelivered(30008),
    "0700": Fate(
        "Delivered, but never a receipt", tuple(Step(status, fault=Fault.LOSE) for status in ("queued", "sent", "delivered"))
    ),
    "0701": Fate("The last receipt comes three days late", (QUEUED, SENT, Step("delivered", after=3 * DAY))),
    "0702": Fate(
        "Every receipt comes twice", tuple(Step(status, fault=Fault.DUPLICATE) for status in ("queued", "sent", "delivered"))
    ),
    "0703": Fate("Receipts come in the wrong order", (QUEUED, Step("sent", fault=Fault.REORDER), DELIVERED)),
    "0704": Fate(
        "Undelivered, and yet delivered an hour later", (QUEUED, SENT, Step("undelivered", 30008), Step("delivered", after=3600))
    ),
    "0705": Fate(
        "Delivered, and yet undelivered an hour later", (QUEUED, SENT, DELIVERED, Step("undelivered", 30008, after=3600))
    ),
    "0706": Fate("Counted as one segment more than it is", extra_segments=1),
    "0707": Fate("Costs three times the price", price_factor=3),
    "0709": Fate("Delivered, and the carrier bills nothing", price_factor=0),
    "0710": Fate("Delivered, and never in a list of the carrier's", hidden_seconds=1000 * DAY),
    "0708": Fate("Receipts are forged first; the true ones follow", (QUEUED, SENT, Step("delivered", fault=Fault.BAD_SIGNATURE))),
    "0408": Fate("Never answers, and nothing was accepted", fault=Fault.TIMEOUT_BEFORE),
    "0409": Fate("Accepts and sends, but never answers", fault=Fault.TIMEOUT_AFTER_SUCCESS),
    "0410": Fate(
        "Accepts and sends, never answers, and lookups find it only a minute later",
        fault=Fault.TIMEOUT_AFTER_SUCCESS,
        hidden_seconds=60,
    ),
    "0429": Fate("Answers 429 three times, then accepts", fault=Fault.THROTTLE_429, times=3),
    "0444": Fate("Accepts and sends; the answer is cut after the headers", fault=Fault.RESET_AFTER_HEADERS),
    "0500": Fate("Answers 500 and nothing was accepted", fault=Fault.ERROR_500_BEFORE),
    "0501": Fate("Accepts and sends, and answers 500", fault=Fault.ERROR_500_AFTER),
    "0503": Fate("Answers 500 twice, then accepts", fault=Fault.ERROR_500_BEFORE, times=2),
    "0600": Fate("Accepts and sends; the answer is no JSON", fault=Fault.GARBAGE),
    "0800": Fate("Accepts, and answers five seconds later", fault=Fault.SLOW),
}


def fate_of(number: str) -> Fate:
    return MAGIC.get(number[-4:], USUAL)
