"""The peers from npm, as package-lock.json pins them."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

PEERS = Path(__file__).parent
NPM_SECONDS = 180


def install(package: str) -> None:
    """All of them, once; other workers of the run wait for it. Skips the test, with a word, where npm cannot."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"{package} needs npm: install it to compare with this peer")
    with (PEERS / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (PEERS / "node_modules" / package).is_dir():
            return
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, timeout=NPM_SECONDS, check=False)
        if done.returncode:
            pytest.skip(f"{package} could not be installed with npm ci: {done.stderr.strip()[-300:]}")
