"""One street for the tests of a file; it starts as many processes as a real one has ends."""

import ctypes
import shutil
from collections.abc import Iterator

import pytest

from postmeter.trunk import t30
from tests.trunk.street import Street


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    needs_telephony()
    with Street(tmp_path_factory.mktemp("street")) as street:
        yield street


def needs_telephony() -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed: apt-get install espeak-ng")
    needs_fax()


def needs_fax() -> None:
    try:
        ctypes.CDLL(t30.LIBRARY)
    except OSError:
        pytest.skip("libspandsp is not installed: apt-get install libspandsp2")
