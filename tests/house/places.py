"""Homes for servers of a test: short-lived, in a place that PostgreSQL's own user can reach, unlike pytest's tmp_path."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def place(mode: int = 0o755) -> Iterator[Path]:
    """A folder of its own with everything in it, and with what its link to /var/lib/postmeter leads to, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="postmeter-place-"))
    folder.chmod(mode)
    try:
        yield folder
    finally:
        for link in folder.glob("**/database"):
            if link.is_symlink():
                shutil.rmtree(link.resolve(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
