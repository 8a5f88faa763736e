"""The trunk as a process, the telephones behind its carrier, and our side, which says what is to be said and hears what came of it."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.stage import free_port, listens, until

SECRET = "secret-of-the-trunk"
PEER = Path(__file__).parents[1] / "peers" / "telephones.py"
SENDER = "+15550100000"
ENDED = {"completed", "broken", "busy", "no-answer", "failed", "lost"}


class Ours:
    """Our side: what it says at each address, in turn, and what it was told."""

    def __init__(self) -> None:
        self.says: dict[str, list[dict[str, Any]]] = {}
        self.asked: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.told: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.deaf = 0  # how many words it does not take
        self.secrets: set[str] = set()
        ours = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                ours.secrets.add(self.headers["Authorization"])
                _, what, name = self.path.split("/")
                status, answer = 204, b""
                if what == "asks":
                    ours.asked[name].append(said)
                    speeches = ours.says.get(name, [])
                    status, answer = (200, json.dumps(speeches.pop(0)).encode()) if speeches else (404, b"")
                elif ours.deaf:
                    ours.deaf -= 1
                    status = 503
                else:
                    ours.told[name].append(said)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Street:
    """Calls are named by the number that is called, without its plus."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ours = folder, Ours()
        self.carrier, self.port, self.sip_port = free_port(), free_port(), free_port()
        self.events: list[dict[str, Any]] = []
        self._peer: subprocess.Popen[str] | None = None
        self._trunk: subprocess.Popen[bytes] | None = None
        self._refs = iter(range(1, 100_000))

    def __enter__(self) -> Self:
        self._peer = subprocess.Popen(
            [sys.executable, "-O", str(PEER), str(self.carrier), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._hear_the_peer, daemon=True).start()
        until(lambda: {"ready": True} in self.events, "the telephones")
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop(signal.SIGKILL)
        if self._peer:
            self._peer.communicate(timeout=20)  # the end of its input ends it
        self.ours.close()

    def environment(self, **more: str) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("POSTMETER_")} | {
            "POSTMETER_HOME": str(self.folder),
            "POSTMETER_SIP_HOST": f"127.0.0.1:{self.carrier}",
            "POSTMETER_SIP_AT": f"127.0.0.1:{self.sip_port}",
            "POSTMETER_SIP_USER": "clinic",
            "POSTMETER_SIP_PASSWORD": "password",
            "POSTMETER_SIP_URL": f"http://127.0.0.1:{self.port}",
            "POSTMETER_SIP_SECRET": SECRET,
            "POSTMETER_SIP_RETRY_SECONDS": "1",
            **more,
        }

    def start(self, **more: str) -> None:
        log = self.folder / "trunk.log"
        with log.open("ab") as into:
            command = [sys.executable, "-m", "postmeter.trunk"]
            self._trunk = subprocess.Popen(command, env=self.environment(**more), stdout=into, stderr=into)
        until(lambda: listens(self.port), "the trunk", lambda: log.read_text()[-3000:])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._trunk:
            trunk, self._trunk = self._trunk, None
            trunk.send_signal(how)
            trunk.wait(90)

    def ring_the_trunk(self) -> None:
        assert self._peer and self._peer.stdin
        self._peer.stdin.write(f"{self.sip_port}\n")
        self._peer.stdin.flush()

    def _hear_the_peer(self) -> None:
        assert self._peer and self._peer.stdout
        for line in self._peer.stdout:
            if line.startswith("{"):
                self.events.append(json.loads(line))

    # What our side does

    def ask(self, method: str, path: str, said: object = None, *, secret: str = SECRET) -> tuple[int, dict[str, Any]]:
        body = said if isinstance(said, bytes) else json.dumps(said).encode() if said is not None else None
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, {"Authorization": f"Bearer {secret}"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, {"words": error.read().decode()}

    def call(self, number: str, *speeches: dict[str, Any], seconds: int = 60, finds_machines: bool = False) -> str:
        """Have a number called; returns our name for the call."""
        ref, name = str(next(self._refs)), number
        self.ours.says[name] = [self.addressed(name, speech) for speech in speeches]
        asked = self.order(ref, number) | {
            "seconds": seconds,
            "asks": f"{self.ours.url}/asks/{name}",
            "finds_machines": finds_machines,
        }
        status, _ = self.ask("POST", "/calls", asked)
        assert status == 201
        return ref

    def order(self, ref: str, number: str) -> dict[str, Any]:
        return {"ref": ref, "to": f"+{number}", "sender": SENDER, "receipts": f"{self.ours.url}/told/{number}"}

    def addressed(self, name: str, speech: dict[str, Any]) -> dict[str, Any]:
        full = {"voice": "Polly.Joanna", "language": "en-US"} | speech
        for field in ("keys_to", "connect_ended"):
            if field in full:
                full[field] = f"{self.ours.url}/asks/{name}"
        return full

    def end_of(self, number: str) -> dict[str, Any]:
        """What we were told last of this number, when it is over."""
        until(lambda: bool(self.ours.told[number]) and self.ours.told[number][-1]["status"] in ENDED, f"the end of {number}")
        return self.ours.told[number][-1]

    def has(self, **event: object) -> bool:
        return any(event.items() <= known.items() for known in self.events)

    def count(self, **event: object) -> int:
        return sum(event.items() <= known.items() for known in self.events)

    def heard_by(self, number: str) -> bytes:
        until(lambda: self.has(ended=number), f"{number} to hang up")
        return (self.folder / f"{number}.raw").read_bytes()
