"""Programs from Debian's packages, unpacked and not installed: no service starts, and no user is made."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parent / "debian"  # where scripts/peers puts them


def unpack(package: str) -> Path:
    """A folder that everybody may look into, for daemons give up root; whoever asks removes it. Skips the test where it cannot."""
    found = sorted((PACKAGES / package).glob("*.deb"))
    if not found or shutil.which("dpkg") is None:
        pytest.skip(f"{package} was not downloaded: scripts/peers does it where it may")
    if os.getuid() != 0:
        pytest.skip(f"{package} wants root to start: its processes give it up")
    folder = Path(tempfile.mkdtemp(prefix=f"postmeter-{package}-"))
    folder.chmod(0o755)
    for file in found:
        subprocess.run(["dpkg", "-x", str(file), str(folder / "root")], check=True, timeout=60)
    return folder


def libraries(root: Path) -> str:
    """Where its programs find theirs: LD_LIBRARY_PATH."""
    return ":".join(map(str, [*root.glob("usr/lib/postfix"), *root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu")]))
