"""The postman: posts signed callbacks and events to whoever asked for them, again later if they are refused.

Back-off runs on the simulator's clock, so that three days of repeated attempts take no time in a test.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

import aiohttp
import msgspec

from postmeter.simulator.agenda import Agenda, Task
from postmeter.simulator.clock import Clock
from postmeter.simulator.faults import Fault, Fired, Switch
from postmeter.simulator.log import Log

BACK_OFF_SECONDS = (5, 60, 300, 1800, 3600 * 2, 3600 * 5, 3600 * 10, 3600 * 24, 3600 * 24)
PATIENCE_SECONDS = 10
OLD_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Callback:
    """`event` is a message status or an event type; `facts` are what fault rules may match on."""

    service: str
    url: str
    body: str
    secret: str
    subject: str
    event: str
    facts: dict[str, str] = field(default_factory=dict)
    attempt: int = 0
    drawn: bool = False  # its fault has struck already


def twilio_signature(url: str, body: str, secret: str) -> str:
    """Base64 of the HMAC-SHA1 of the address and the sorted parameters (Twilio, "Validating signatures")."""
    text = url + "".join(name + value for name, value in sorted(set(parse_qsl(body, keep_blank_values=True))))
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def stripe_signature(body: str, secret: str, now: float) -> str:
    """`t=…,v1=…`, the HMAC-SHA256 of time and payload (Stripe, "Verify webhook signatures manually")."""
    digest = hmac.new(secret.encode(), f"{int(now)}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={int(now)},v1={digest}"


def headers_for(callback: Callback, now: float) -> dict[str, str]:
    if callback.service == "twilio":
        signature = twilio_signature(callback.url, callback.body, callback.secret)
        return {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    if callback.service == "sinch":
        token = base64.b64encode(callback.secret.encode()).decode()
        return {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    if callback.service == "paypal":
        return _paypal_headers(callback)
    return {
        "Stripe-Signature": stripe_signature(callback.body, callback.secret, now),
        "Content-Type": "application/json; charset=utf-8",
    }


def paypal_signature(transmission_id: str, body: str, secret: str) -> str:
    """A stand-in for PayPal's certificates: only who knows the secret can make it, and only the simulator says whether it fits."""
    return "s" + hmac.new(secret.encode(), f"{transmission_id}.{body}".encode(), hashlib.sha256).hexdigest()


def _paypal_headers(callback: Callback) -> dict[str, str]:
    transmission = f"t{callback.subject}"
    return {
        "PAYPAL-TRANSMISSION-ID": transmission,
        "PAYPAL-TRANSMISSION-TIME": "2026-01-01T00:00:00Z",
        "PAYPAL-TRANSMISSION-SIG": paypal_signature(transmission, callback.body, callback.secret),
        "PAYPAL-CERT-URL": "https://api.paypal.com/v1/notifications/certs/simulated",
        "PAYPAL-AUTH-ALGO": "SHA256withRSA",
        "Content-Type": "application/json",
    }


class Postman:
    def __init__(self, *, log: Log, clock: Clock, switch: Switch, agenda: Agenda) -> None:
        self._log = log
        self._clock = clock
        self._switch = switch
        self._agenda = agenda
        agenda.on("callback", self._again)

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=256),
            timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS),
            headers={"User-Agent": "postmeter-simulator"},
        )

    async def close(self) -> None:
        await self._session.close()

    def schedule(self, callback: Callback, *, due: float) -> None:
        self._agenda.add(due=due, kind="callback", again=callback.attempt > 0, **msgspec.to_builtins(callback))

    async def deliver(self, callback: Callback, magic: Fired | None = None) -> None:
        """One attempt, under whatever fault strikes. Never raises; what was refused is scheduled again."""
        fired = self._fault_on(callback, magic)
        once = replace(callback, drawn=True)
        match fired and fired.fault:
            case Fault.LOSE:
                self._note("callback.lost", callback)
            case Fault.DELAY | Fault.REORDER if fired:
                self.schedule(once, due=self._clock.now() + fired.seconds)
            case Fault.BAD_SIGNATURE:
                await self._attempt(once, forged_as=replace(once, secret="not-" + once.secret))
            case Fault.OLD_TIMESTAMP:
                await self._attempt(once, seconds_ago=OLD_SECONDS)
            case Fault.DUPLICATE:
                await self._attempt(once)
                await self._attempt(once)
            case _:
                await self._attempt(once)

    def _fault_on(self, callback: Callback, magic: Fired | None) -> Fired | None:
        if callback.drawn:
            return None
        if magic:
            self._switch.note(magic, service=callback.service, subject=callback.subject)
            return magic
        return self._switch.draw(
            callback.service, callback=True, subject=callback.subject, event=callback.event, **callback.facts
        )

    async def _attempt(self, callback: Callback, *, forged_as: Callback | None = None, seconds_ago: float = 0) -> None:
        status, _ = await self._post(callback, headers_for(forged_as or callback, self._clock.now() - seconds_ago))
        delivered = status is not None and status < 300
        kind = "callback.delivered" if delivered else "callback.refused"
        with self._log.transaction():
            self._note(kind, callback, status=status, attempt=callback.attempt, forged=bool(forged_as or seconds_ago))
            if delivered:
                return
            if callback.attempt < len(BACK_OFF_SECONDS):
                due = self._clock.now() + BACK_OFF_SECONDS[callback.attempt]
                self.schedule(replace(callback, attempt=callback.attempt + 1), due=due)
            else:
                self._note("callback.given_up", callback)

    async def ask(self, callback: Callback) -> str:
        """What is answered: TwiML. Asked twice, as services do; nothing where no good answer came."""
        for _ in range(2):
            status, answer = await self._post(callback, headers_for(callback, self._clock.now()))
            self._note("callback.asked", callback, status=status)
            if status == 200:
                return answer
        return ""

    async def _post(self, callback: Callback, headers: dict[str, str]) -> tuple[int | None, str]:
        """The status and the body of the reply; None where there was none."""
        try:
            async with self._session.post(
                callback.url, data=callback.body.encode(), headers=headers, allow_redirects=False
            ) as reply:
                return reply.status, await reply.text()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None, ""

    async def _again(self, task: Task) -> None:
        await self.deliver(Callback(**task.facts))
        self._agenda.done(task)

    def _note(self, kind: str, callback: Callback, **facts: object) -> None:
        self._log.append(
            at=self._clock.now(),
            kind=kind,
            subject=callback.subject,
            service=callback.service,
            event=callback.event,
            url=callback.url,
            **facts,
        )
