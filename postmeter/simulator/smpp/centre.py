"""The message centre: it takes texts part by part, delivers what is whole, says so part by part, and brings what people write.

What it delivers to us it delivers again, later each time, until it is answered with a status of 0. A receipt goes to any session.
"""

import asyncio
import contextlib
import itertools
import logging
import random
import struct
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import msgspec
import smpp34
from smpp34 import DeliverSm, SubmitSm, Tlv

from postmeter.simulator.agenda import Task
from postmeter.simulator.callbacks import BACK_OFF_SECONDS
from postmeter.simulator.faults import Fault, Fired
from postmeter.simulator.smpp import alphabet
from postmeter.simulator.twilio import segments
from postmeter.simulator.twilio.messages import FINAL, PRICE_MICROS_PER_SEGMENT, Carrier
from postmeter.simulator.twilio.numbers import Step, fate_of

BIND_RECEIVER, BIND_TRANSMITTER, SUBMIT_SM, DELIVER_SM, UNBIND, BIND_TRANSCEIVER, ENQUIRE_LINK = 1, 2, 4, 5, 6, 9, 0x15
RESPONSE = 0x80000000
OK, SYSTEM_ERROR, BAD_ADDRESS, BAD_PASSWORD, QUEUE_FULL, THROTTLED, NOT_BOUND = 0, 0x08, 0x0B, 0x0E, 0x14, 0x58, 0x04
# Refusals of magic numbers; what SMPP has no status for is a vendor's own.
REFUSALS = {21211: BAD_ADDRESS, 21408: 0x442, 21610: 0x443, 21614: BAD_ADDRESS}
WORDS = {"delivered": ("DELIVRD", 2), "undelivered": ("UNDELIV", 5), "failed": ("REJECTD", 8)}
PATIENCE_SECONDS = 10
BEFORE = {Fault.ERROR_500_BEFORE: SYSTEM_ERROR, Fault.THROTTLE_429: THROTTLED, Fault.CONFLICT_409: QUEUE_FULL}
logger = logging.getLogger(__name__)


class Session:
    """One connection, from its bind on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.bound = False
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[int]] = {}

    def say(self, command: int, number: int, *, status: int = OK, body: bytes = b"") -> None:
        if not self.writer.is_closing():
            self.writer.write(struct.pack(">IIII", 16 + len(body), command, status, number) + body)

    async def deliver(self, unit: bytes) -> int | None:
        """The status that answers it; None where there was no answer."""
        number = next(self._numbers)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self.writer.write(unit[:12] + struct.pack(">I", number) + unit[16:])
            return await asyncio.wait_for(future, PATIENCE_SECONDS)
        except (TimeoutError, OSError, asyncio.CancelledError):
            return None
        finally:
            self._asked.pop(number, None)

    def answered(self, number: int, status: int) -> None:
        if (future := self._asked.get(number)) and not future.done():
            future.set_result(status)

    def close(self) -> None:
        self.writer.close()
        for future in self._asked.values():
            future.cancel()


class Centre:
    def __init__(self, carrier: Carrier) -> None:
        self._carrier, self._world = carrier, carrier.world
        self._sessions: list[Session] = []
        self._incomplete: dict[tuple[str, str, int, int], dict[int, tuple[str, bytes, int]]] = {}
        self._references = itertools.count(1)
        self._world.agenda.on("smpp.step", self._step)
        self._world.agenda.on("smpp.deliver", self._again)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listens on 127.0.0.1 where a port was told."""
        port = self._world.settings.smpp_port
        if not port:
            yield
            return
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        try:
            yield
        finally:
            server.close()
            for session in list(self._sessions):
                session.close()

    @property
    def is_bound(self) -> bool:
        return bool(self._sessions)

    def drop(self) -> int:
        """Breaks every session, as a network does. Returns how many there were."""
        dropped = len(self._sessions)
        for session in list(self._sessions):
            session.writer.transport.abort()
        return dropped

    # Sessions

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session, tasks = Session(reader, writer), set()
        try:
            while True:
                head = await reader.readexactly(16)
                length, command, status, number = struct.unpack(">IIII", head)
                unit = head + await reader.readexactly(length - 16)
                if command & RESPONSE:
                    session.answered(number, status)
                elif command == SUBMIT_SM and session.bound:
                    task = asyncio.create_task(self._submitted(session, unit, number))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                else:
                    self._hear(session, command, number, unit[16:])
                    if command == UNBIND:
                        return
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            if session in self._sessions:
                self._sessions.remove(session)
            session.close()

    def _hear(self, session: Session, command: int, number: int, body: bytes) -> None:
        if command in (BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER):
            credentials = self._world.settings.credentials
            wanted = [credentials.smpp_system_id.encode(), credentials.smpp_password.encode()]
            session.bound = body.split(b"\0")[:2] == wanted
            if session.bound:
                self._sessions.append(session)
            status = OK if session.bound else BAD_PASSWORD
            self._note("smpp.bound" if session.bound else "smpp.refused", "session", sessions=len(self._sessions))
            session.say(command | RESPONSE, number, status=status, body=b"simulator\0" if session.bound else b"")
        elif command in (ENQUIRE_LINK, UNBIND):
            session.say(command | RESPONSE, number)
        elif command == SUBMIT_SM:
            session.say(command | RESPONSE, number, status=NOT_BOUND)
        else:
            session.say(RESPONSE, number, status=3)

    # Texts that are sent

    async def _submitted(self, session: Session, unit: bytes, number: int) -> None:
        said = smpp34.decode(unit)
        assert isinstance(said, SubmitSm)
        to, sender = _number(said.destination_addr, said.dest_addr_ton), _number(said.source_addr, said.source_addr_ton)
        fate = fate_of(to)
        fired = self._fault_on(to, sender)
        fault = fired.fault if fired else None
        if fired and fault is Fault.SLOW:
            await self._world.clock.until(self._world.clock.now() + fired.seconds)
        if fault is Fault.TIMEOUT_BEFORE:
            return
        status = BEFORE.get(fault, OK) if fault else OK
        if status == OK and fate.refusal:
            status = REFUSALS.get(fate.refusal, BAD_ADDRESS)
        if status != OK:
            self._note("message.refused", to, to=to, code=status)
            session.say(SUBMIT_SM | RESPONSE, number, status=status)
            return
        for _ in range(2 if fault is Fault.TWICE else 1):
            ref = self._accept(said, to, sender)
        match fault:
            case Fault.TIMEOUT_AFTER_SUCCESS:
                return
            case Fault.RESET_AFTER_HEADERS | Fault.ERROR_500_AFTER:
                session.writer.transport.abort()
            case Fault.GARBAGE:
                session.writer.write(b"\xff" * 16)
            case Fault.EVENT_FIRST:
                await self._world.agenda.do_what_is_due(by=self._world.clock.now() + 3600)
                session.say(SUBMIT_SM | RESPONSE, number, body=ref.encode() + b"\0")
            case _:
                session.say(SUBMIT_SM | RESPONSE, number, body=ref.encode() + b"\0")

    def _fault_on(self, to: str, sender: str) -> Fired | None:
        fate = fate_of(to)
        if fate.fault and (fate.times is None or self._world.log.count("fault.fired", to) < fate.times):
            fired = Fired.by_magic(fate.fault)
            self._world.switch.note(fired, service="smpp", subject=to)
            return fired
        return self._world.switch.draw("smpp", callback=False, subject=to, number=to, sender=sender)

    def _accept(self, said: SubmitSm, to: str, sender: str) -> str:
        """The part is ours now; a text of which all parts are here goes on its way."""
        ref = uuid4().hex[:16]
        octets = said.short_message or next((tlv.value for tlv in said.tlvs if tlv.tag == 0x0424), b"")
        reference, total, position, octets = _joined(said, octets)
        with self._world.log.transaction():
            self._note("smpp.part", ref, to=to, sender=sender, position=position, total=total, octets=octets.hex())
            parts = self._incomplete.setdefault((sender, to, reference, total), {})
            parts[position] = ref, octets, said.data_coding
            if len(parts) == total:
                del self._incomplete[sender, to, reference, total]
                self._take([parts[position] for position in sorted(parts)], to, sender)
        return ref

    def _take(self, parts: list[tuple[str, bytes, int]], to: str, sender: str) -> None:
        now, sid, log = self._world.clock.now(), parts[0][0], self._world.log
        body = alphabet.read(b"".join(part[1] for part in parts), parts[0][2])
        log.execute(
            "INSERT INTO messages (sid, direction, sender, recipient, phone, body, num_segments, num_media, status,"
            " created, updated, visible_from) VALUES (?, 'outbound-api', ?, ?, ?, ?, ?, 0, 'queued', ?, ?, ?)",
            (sid, sender, to, to, body, max(len(parts), segments.count(body)), now, now, now),
        )
        self._note("message.accepted", sid, to=to, sender=sender, body=body, segments=len(parts))
        steps = [step for step in fate_of(to).steps if step.status in FINAL]
        for ref, octets, coding in parts:
            quoted = alphabet.read(octets, coding)[:20]
            self._plan(sid=sid, ref=ref, to=to, sender=sender, quoted=quoted, steps=steps)

    # Receipts

    def _plan(self, *, steps: list[Step], **facts: Any) -> None:
        if steps:
            due = self._world.soon("receipt_delay") + steps[0].after
            self._world.agenda.add(due=due, kind="smpp.step", steps=msgspec.to_builtins(steps), **facts)

    async def _step(self, task: Task) -> None:
        step, *rest = msgspec.convert(task.facts["steps"], list[Step])
        facts = {name: task.facts[name] for name in ("sid", "ref", "to", "sender", "quoted")}
        now, log = self._world.clock.now(), self._world.log
        with log.transaction():
            log.execute(
                "UPDATE messages SET status = ?, error_code = ?, updated = ?, sent = coalesce(sent, ?),"
                " price_micros = num_segments * ? WHERE sid = ?",
                (step.status, step.error_code, now, now, PRICE_MICROS_PER_SEGMENT, facts["sid"]),
            )
            self._note("message.status", facts["sid"], status=step.status, error_code=step.error_code)
        fired = self._fault_on_receipt(step, facts)
        unit = _receipt(facts, step.status).hex()
        if fired is None or fired.fault in (Fault.DUPLICATE, Fault.LOSE):
            for _ in range({None: 1, Fault.DUPLICATE: 2, Fault.LOSE: 0}[fired.fault if fired else None]):
                await self._deliver(facts["ref"], unit, attempt=0)
        else:
            due = self._world.clock.now() + fired.seconds
            self._world.agenda.add(due=due, kind="smpp.deliver", subject=facts["ref"], unit=unit, attempt=0)
        with log.transaction():
            self._world.agenda.done(task)
            self._plan(steps=rest, **facts)

    def _fault_on_receipt(self, step: Step, facts: dict[str, Any]) -> Fired | None:
        if step.fault:
            fired = Fired.by_magic(step.fault)
            self._world.switch.note(fired, service="smpp", subject=facts["ref"])
            return fired
        return self._world.switch.draw("smpp", callback=True, subject=facts["ref"], event=step.status, number=facts["to"])

    # Delivering to us

    async def _deliver(self, subject: str, unit: str, *, attempt: int) -> None:
        session = random.choice(self._sessions) if self._sessions else None  # noqa: S311 - chance, not secrecy
        status = await session.deliver(bytes.fromhex(unit)) if session else None
        with self._world.log.transaction():
            self._note("smpp.delivered" if status == OK else "smpp.not_delivered", subject, status=status, attempt=attempt)
            if status != OK and attempt < len(BACK_OFF_SECONDS):
                due = self._world.clock.now() + BACK_OFF_SECONDS[attempt]
                facts = {"subject": subject, "unit": unit, "attempt": attempt + 1}
                self._world.agenda.add(due=due, kind="smpp.deliver", again=True, **facts)

    async def _again(self, task: Task) -> None:
        await self._deliver(task.facts["subject"], task.facts["unit"], attempt=task.facts["attempt"])
        self._world.agenda.done(task)

    def receive(self, *, phone: str, to: str, body: str) -> dict[str, Any]:
        """A person writes to one of our numbers: a deliver_sm for each part."""
        now, sid, log = self._world.clock.now(), "SM" + uuid4().hex, self._world.log
        coding, parts = alphabet.write(body)
        with log.transaction():
            log.execute(
                "INSERT INTO messages (sid, direction, sender, recipient, phone, body, num_segments, num_media, status,"
                " created, updated, sent, visible_from) VALUES (?, 'inbound', ?, ?, ?, ?, ?, 0, 'received', ?, ?, ?, ?)",
                (sid, phone, to, phone, body, len(parts), now, now, now, now),
            )
            self._note("message.received", sid, sender=phone, to=to, body=body)
            reference = next(self._references) & 0xFF
            for position, octets in enumerate(parts, 1):
                header = bytes([5, 0, 3, reference, len(parts), position]) if len(parts) > 1 else b""
                unit = DeliverSm(
                    phone.lstrip("+"),
                    to.lstrip("+"),
                    header + octets,
                    source_addr_ton=1,
                    source_addr_npi=1,
                    dest_addr_ton=1 if to.startswith("+") else 0,
                    dest_addr_npi=1,
                    esm_class=0x40 if header else 0,
                    data_coding=coding,
                ).encode()
                self._world.agenda.add(due=now, kind="smpp.deliver", subject=sid, unit=unit.hex(), attempt=0)
        return self._carrier.resource(self._carrier.find(sid))

    def _note(self, kind: str, subject: str, **facts: Any) -> None:
        self._world.log.append(at=self._world.clock.now(), kind=kind, subject=subject, **facts)


def _number(given: str, ton: int) -> str:
    return f"+{given}" if ton == 1 else given


def _joined(said: SubmitSm, octets: bytes) -> tuple[int, int, int, bytes]:
    """Reference, number of parts, position, and the octets without their header."""
    if said.esm_class & 0x40:
        header, octets = octets[: octets[0] + 1], octets[octets[0] + 1 :]
        return header[3], header[4], header[5], octets
    told = {tlv.tag: int.from_bytes(tlv.value, "big") for tlv in said.tlvs if tlv.tag in (0x020C, 0x020E, 0x020F)}
    return told.get(0x020C, 0), told.get(0x020E, 1), told.get(0x020F, 1), octets


def _receipt(facts: dict[str, Any], status: str) -> bytes:
    """In both forms: the text of appendix B and the two parameters."""
    word, number = WORDS[status]
    quoted = facts["quoted"].encode("ascii", "replace").decode()
    dates = "submit date:2601010000 done date:2601010001"
    text = f"id:{facts['ref']} sub:001 dlvrd:{int(number == 2):03} {dates} stat:{word} err:000 text:{quoted}"
    return DeliverSm(
        facts["to"].lstrip("+"),
        facts["sender"].lstrip("+"),
        text.encode(),
        source_addr_ton=1,
        source_addr_npi=1,
        dest_addr_ton=1,
        dest_addr_npi=1,
        esm_class=0x04,
        tlvs=[Tlv(0x001E, facts["ref"].encode() + b"\0"), Tlv(0x0427, bytes([number]))],
    ).encode()
