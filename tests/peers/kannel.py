"""A private Kannel: a client of message centres that nobody here wrote. It sends what it is asked by HTTP, and calls back."""

import os
import shutil
import signal
import subprocess
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.peers.debian import libraries, unpack
from tests.stage import end, free_port, listens, until

CONF = """group = core
admin-port = {admin}
admin-interface = "127.0.0.1"
admin-password = admin
smsbox-port = {box}
smsbox-interface = "127.0.0.1"
box-allow-ip = "127.0.0.1"
dlr-storage = internal
log-file = "{folder}/bearerbox.log"
log-level = 1

group = smsc
smsc = smpp
host = 127.0.0.1
port = {centre}
transceiver-mode = true
smsc-username = "postmeter"
smsc-password = "demopass"
system-type = ""

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sends}
sendsms-interface = "127.0.0.1"
log-file = "{folder}/smsbox.log"
log-level = 1

group = sendsms-user
username = us
password = us
max-messages = 10
concatenation = true

group = sms-service
keyword = default
catch-all = true
get-url = "http://127.0.0.1:{ours}/came?from=%p&to=%P&octets=%b&coding=%c"
max-messages = 0
concatenation = true
"""


class Kannel:
    """At the message centre on this port. `came`: what it was sent; `receipts`: what it heard of what it sent, by our name."""

    def __init__(self, centre: int) -> None:
        self._centre = centre
        self._programs: list[subprocess.Popen[bytes]] = []
        self.came: list[dict[str, str]] = []
        self.receipts: dict[str, list[str]] = {}
        kannel = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                said = dict(parse_qsl(parts.query, keep_blank_values=True, encoding="latin-1"))
                if parts.path == "/came":
                    wide = said["coding"] == "2"
                    text = said["octets"].encode("latin-1").decode("utf-16-be" if wide else "utf-8")
                    kannel.came.append({"from": said["from"], "to": said["to"], "text": text})
                else:
                    kannel.receipts.setdefault(said["name"], []).append(said["type"])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self._ours = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._our_port = self._ours.server_address[1]

    def __enter__(self) -> Self:
        self.folder = unpack("kannel")
        threading.Thread(target=self._ours.serve_forever, daemon=True).start()
        self.admin, box, self._sends = free_port(), free_port(), free_port()
        conf = self.folder / "kannel.conf"
        told = {"admin": self.admin, "box": box, "sends": self._sends, "centre": self._centre, "ours": self._our_port}
        conf.write_text(CONF.format(**told, folder=self.folder))
        self._start("bearerbox", conf)
        until(lambda: listens(box), "Kannel's bearerbox", self.log)
        self._start("smsbox", conf)
        until(lambda: listens(self._sends), "Kannel's smsbox", self.log)
        until(lambda: "online" in self._status(), "Kannel to be bound", self.log)
        return self

    def __exit__(self, *failure: object) -> None:
        for program in reversed(self._programs):
            end(program, signal.SIGTERM)
        self._ours.shutdown()
        self._ours.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, sender: str, to: str, text: str, *, name: str, unicode: bool = False) -> None:
        """`name` is ours for it."""
        told = f"http://127.0.0.1:{self._our_port}/receipt?name={name}&type=%d"
        asked = {"username": "us", "password": "us", "from": sender, "to": to, "text": text, "charset": "UTF-8"}
        asked |= {"coding": "2" if unicode else "0", "dlr-mask": "31", "dlr-url": told}
        with urllib.request.urlopen(f"http://127.0.0.1:{self._sends}/cgi-bin/sendsms?{urlencode(asked)}", timeout=20) as answer:
            assert answer.status == 202

    def log(self) -> str:
        return "".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log"))

    def _status(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/status.txt", timeout=5) as answer:
            return str(answer.read().decode())

    def _start(self, name: str, conf: Path) -> None:
        program = self.folder / "root/usr/sbin" / name
        environment = os.environ | {"LD_LIBRARY_PATH": libraries(self.folder / "root")}
        self._programs.append(
            subprocess.Popen([program, str(conf)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
