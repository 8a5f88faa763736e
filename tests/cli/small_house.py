"""A house of tiny programs in place of the real ones, to see how they are started, looked after and stopped.

As a module (`python -m tests.cli.small_house`) it is `postmeter run` with these programs.
"""

import os
import sys
from pathlib import Path

from rich.console import Console

from postmeter.cli.processes import Program
from postmeter.cli.programs import Setting
from postmeter.cli.run import run
from postmeter.kit.refusals import Refusal

# Notes its process id at the start and its name at the stop; has a child of its own, as a server with workers has.
STEADY = """
import os, signal, subprocess, sys, time
from pathlib import Path
name, diary = sys.argv[1], Path(sys.argv[2])
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def stop(*_):
    with (diary / "stopped").open("a") as words:
        words.write(name + "\\n")
    helper.kill()
    raise SystemExit
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, lambda *_: (diary / "interrupted").touch())
(diary / f"{name}.pids").write_text(f"{os.getpid()} {helper.pid}")
(diary / f"{name}.starts").open("a").write("once more\\n")
print("WARNING: hello from", name, flush=True)
"""
LOOP = "while True: time.sleep(0.05)"
WEB = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Door(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
    def log_message(self, *_): pass
HTTPServer(("127.0.0.1", int(sys.argv[3])), Door).serve_forever()
"""


def programs(setting: Setting) -> list[Program]:
    diary = str(setting.home.path / "diary")
    environment = dict(os.environ)

    def tiny(name: str, script: str, *more: str) -> Program:
        return Program(name, [sys.executable, "-c", STEADY + script, name, diary, *more], environment, patience_seconds=5)

    return [tiny("simulator", LOOP), tiny("worker", LOOP), tiny("web", WEB, str(setting.port))]


def preparation(setting: Setting) -> Program:
    script = "import os, sys; os.makedirs(sys.argv[1], exist_ok=True); print('prepared')"
    return Program("prepare", [sys.executable, "-c", script, str(setting.home.path / "diary")], dict(os.environ))


def pids_of(home: Path) -> dict[str, list[int]]:
    """The process ids of each tiny program and its helper."""
    return {path.stem: [int(pid) for pid in path.read_text().split()] for path in (home / "diary").glob("*.pids")}


if __name__ == "__main__":
    try:
        run(Console(highlight=False, soft_wrap=True), os.environ, programs=programs, preparation=preparation)
    except Refusal as refusal:
        sys.exit(f"postmeter: {refusal}")
