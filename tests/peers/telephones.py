"""Telephones and fax machines behind a carrier, made of aiosipua and aiortp, which nobody here wrote.

`python -O telephones.py PORT FOLDER`; it says as JSON, a line each, what happens. The last digits of the number that is called say who
answers: 00 is busy, 01 lets it ring, 02 does not exist, 03 is a machine with a long greeting, 04 hangs up at once, 1K presses K after
two seconds, 30 is a fax machine, 31 one that hangs up in the middle, 32 one that is busy the first time, 40 wants a password first;
others listen, and say something again and again: a tone that is theirs (`tone_of`). What was heard is written to FOLDER/NUMBER.raw,
pages to FOLDER/NUMBER.tiff. A port on its standard input has the trunk there called.
"""

import asyncio
import contextlib
import json
import math
import socket
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from aiosipua import SipUAC, SipUAS, UdpSipTransport, build_sdp
from aiosipua.rtp_bridge import CallSession

sys.path.insert(0, str(Path(__file__).parents[2]))
from postmeter.trunk.t30 import Machine

FRAME = 160  # samples
CODES = {"00": 486, "02": 404, "03": 0}
HELLO_SECONDS, GREETING_SECONDS = 0.6, 4.0


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def free_port() -> int:
    """For sound; the one above it is free, too."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as first, socket.socket(type=socket.SOCK_DGRAM) as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError):
                second.bind(("127.0.0.1", port + 1))
                if port % 2 == 0:
                    return port


def tone_of(number: str) -> int:
    """In Hz."""
    return 300 + 10 * int(number[-2:])


def voice(seconds: float, tone: int) -> bytes:
    """Something as loud as speech."""
    count = int(seconds * 8_000)
    return struct.pack(f"<{count}h", *(int(6_000 * math.sin(2 * math.pi * tone * at / 8_000)) for at in range(count)))


class Street:
    def __init__(self, port: int, folder: Path) -> None:
        self.folder = folder
        transport = UdpSipTransport(("127.0.0.1", port))
        self.uas = SipUAS(transport, uac=SipUAC(transport))
        self.uas.on_invite = lambda call: asyncio.ensure_future(self.rings(call))
        self.uas.on_cancel = lambda *_: say(cancelled=True)
        self.uas.on_bye = self.hung_up
        self.ends: dict[str, asyncio.Event] = {}
        self.rung: Counter[str] = Counter()

    def hung_up(self, call: Any, *_: object) -> None:
        if known := self.ends.get(call.dialog.call_id):
            known.set()

    async def rings(self, call: Any) -> None:
        number = call.callee.removeprefix("sip:").partition("@")[0].lstrip("+")
        caller = call.caller.removeprefix("sip:").partition("@")[0]
        last = number[-2:]
        self.rung[number] += 1
        if last == "40" and not call.invite.get_header("proxy-authorization"):
            challenge = 'Digest realm="trunk", nonce="abc123", algorithm=MD5, qop="auth"'
            call._send_response(407, "Proxy Authentication Required", extra_headers={"Proxy-Authenticate": challenge})
            self.uas._calls.pop(call.call_id, None)
            return
        said = call.invite.get_header("proxy-authorization") or ""
        say(rings=number, caller=caller, user='username="clinic"' in said)
        call.ringing()
        if last == "01":
            return
        if (last == "32" and self.rung[number] == 1) or CODES.get(last):
            call.reject(CODES.get(last) or 486)
            return
        await asyncio.sleep(0.1)
        await self.answers(call, number)

    async def answers(self, call: Any, number: str) -> None:
        last, over = number[-2:], asyncio.Event()
        self.ends[call.call_id] = over
        session = CallSession("127.0.0.1", free_port(), call.sdp_offer, jitter_prefetch=0, plc=False)
        machine = Machine.receiving(self.folder / f"{number}.tiff", ident=number) if last in ("30", "31", "32") else None
        heard = bytearray()
        session.on_dtmf = lambda digit, _: say(pressed=digit, by=number)
        await session.start()
        call.accept(session.sdp_answer)
        say(answered=number)
        if machine:
            await self.faxes(call, number, session, machine, over)
        else:
            session.on_audio = lambda samples, _: heard.extend(samples)
            await self.listens(call, number, session, over)
            (self.folder / f"{number}.raw").write_bytes(heard)
        say(
            ended=number,
            seconds=round(len(heard) / 16_000, 1),
            pages=machine.pages if machine else 0,
            words=machine.words if machine else "",
        )
        await session.close()

    async def listens(self, call: Any, number: str, session: CallSession, over: asyncio.Event) -> None:
        last = number[-2:]
        says = voice(GREETING_SECONDS if last == "03" else HELLO_SECONDS, tone_of(number))
        if last != "03":
            says = says.ljust(2 * 8_000 * 2, b"\0") * 30
        presses = last[1] if last[0] == "1" else ""
        begun, at = asyncio.get_running_loop().time(), 0
        while not over.is_set():
            frame = says[at * 2 : (at + FRAME) * 2].ljust(FRAME * 2, b"\0")
            session.send_audio_pcm(frame, at)
            at += FRAME
            if presses and at >= 16_000:
                session.send_dtmf(presses)
                presses = ""
            if last == "04" and at >= 8_000:
                call.hangup()
                return
            await asyncio.sleep(max(begun + at / 8_000 - asyncio.get_running_loop().time(), 0))

    async def faxes(self, call: Any, number: str, session: CallSession, machine: Machine, over: asyncio.Event) -> None:
        """In step with what comes: a frame heard, a frame said."""
        said = 0

        def step(samples: bytes, _: int) -> None:
            nonlocal said
            machine.hear(samples)
            session.send_audio_pcm(machine.speak(len(samples) // 2), said)
            said += len(samples) // 2

        session.on_audio = step
        while not over.is_set():
            if number.endswith("31") and machine.pages >= 1:
                call.hangup()
                return
            await asyncio.sleep(0.05)

    async def rings_there(self, port: int) -> None:
        """Somebody calls the trunk."""
        here, there = f"sip:15550107190@{self.uas.transport.local_addr[0]}", f"sip:+15550100000@127.0.0.1:{port}"
        call = self.uas.uac.send_invite(here, there, ("127.0.0.1", port), build_sdp("127.0.0.1", free_port(), 0, "PCMU"))
        try:
            await call.wait_answered(20)
            say(taken=True)
        except (RuntimeError, TimeoutError) as refused:
            say(taken=False, words=str(refused))


async def main(port: int, folder: Path) -> None:
    street = Street(port, folder)
    await street.uas.start()
    say(ready=True)
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):  # its end is ours
        await street.rings_there(int(line))


asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
