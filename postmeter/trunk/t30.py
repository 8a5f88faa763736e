"""A fax machine: ITU-T T.30 by libspandsp (version 0.0.6, in Debian libspandsp2), over sound that goes both ways.

Sound is 16 bits, 8,000 samples a second. The library runs its clocks by the samples that it is given: they must keep flowing.
"""

import ctypes
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_void_p
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

LIBRARY = "libspandsp.so.2"
V27TER_V29_V17 = 0x07
T4_AND_T6 = 0x02 | 0x04 | 0x08
UP_TO_FINE = 0x01 | 0x02 | 0x10000 | 0x20000
SIZES = 0x01 | 0x10000 | 0x20000 | 0x80000 | 0x100000  # 215 mm wide, of any length
IDENT_AT_MOST, HEADER_AT_MOST = 20, 50
_PHASE_E = CFUNCTYPE(None, c_void_p, c_void_p, c_int)


class NoFax(Exception):
    """The library is not there."""


class _Statistics(ctypes.Structure):
    """`t30_stats_t` of version 0.0.6."""

    _fields_ = [
        (name, c_int)
        for name in (
            "bit_rate", "error_correcting", "pages_tx", "pages_rx", "pages_in_file", "x_resolution", "y_resolution", "width", "length",
            "image_size", "encoding", "bad_rows", "longest_bad_row_run", "retries", "current_status",
        )
    ]  # fmt: skip


_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "fax_init": (c_void_p, [c_void_p, c_int]),
    "fax_free": (c_int, [c_void_p]),
    "fax_get_t30_state": (c_void_p, [c_void_p]),
    "fax_set_transmit_on_idle": (None, [c_void_p, c_int]),
    "fax_rx": (c_int, [c_void_p, c_void_p, c_int]),
    "fax_tx": (c_int, [c_void_p, c_void_p, c_int]),
    "t30_set_tx_ident": (c_int, [c_void_p, c_char_p]),
    "t30_set_tx_page_header_info": (c_int, [c_void_p, c_char_p]),
    "t30_set_tx_page_header_tz": (c_int, [c_void_p, c_char_p]),
    "t30_set_tx_file": (None, [c_void_p, c_char_p, c_int, c_int]),
    "t30_set_rx_file": (None, [c_void_p, c_char_p, c_int]),
    "t30_set_ecm_capability": (c_int, [c_void_p, c_int]),
    "t30_set_supported_modems": (c_int, [c_void_p, c_int]),
    "t30_set_supported_compressions": (c_int, [c_void_p, c_int]),
    "t30_set_supported_resolutions": (c_int, [c_void_p, c_int]),
    "t30_set_supported_image_sizes": (c_int, [c_void_p, c_int]),
    "t30_set_phase_e_handler": (None, [c_void_p, _PHASE_E, c_void_p]),
    "t30_get_transfer_statistics": (None, [c_void_p, POINTER(_Statistics)]),
    "t30_completion_code_to_str": (c_char_p, [c_int]),
}


@lru_cache
def library() -> ctypes.CDLL:
    """Raises NoFax."""
    try:
        found = ctypes.CDLL(LIBRARY)
    except OSError:
        raise NoFax(f"{LIBRARY} is not installed; on Debian: apt-get install libspandsp2") from None
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


@dataclass(slots=True)
class Machine:
    """One end of one call. Make it with `sending` or `receiving`, and close it."""

    _fax: int
    code: int | None = None  # how the session ended; 0 is well
    _keeps: list[Any] = field(default_factory=list)  # what the library calls must not be collected

    @classmethod
    def sending(cls, tiff: Path, *, ident: str, header: str, zone: str) -> Self:
        """Pages of a TIFF; `header` and the number stand at the head of each (47 CFR 68.318(d)). `zone`: POSIX TZ."""
        made = cls._make(calling=True, ident=ident)
        state = made._state
        library().t30_set_tx_page_header_info(state, header[:HEADER_AT_MOST].encode("latin-1", "replace"))
        library().t30_set_tx_page_header_tz(state, zone.encode())
        library().t30_set_tx_file(state, str(tiff).encode(), -1, -1)
        return made

    @classmethod
    def receiving(cls, tiff: Path, *, ident: str) -> Self:
        made = cls._make(calling=False, ident=ident)
        library().t30_set_rx_file(made._state, str(tiff).encode(), -1)
        return made

    @classmethod
    def _make(cls, *, calling: bool, ident: str) -> Self:
        spandsp = library()
        made = cls(spandsp.fax_init(None, int(calling)))
        spandsp.fax_set_transmit_on_idle(made._fax, 1)
        state = made._state
        spandsp.t30_set_ecm_capability(state, 1)
        spandsp.t30_set_supported_modems(state, V27TER_V29_V17)
        spandsp.t30_set_supported_compressions(state, T4_AND_T6)
        spandsp.t30_set_supported_resolutions(state, UP_TO_FINE)
        spandsp.t30_set_supported_image_sizes(state, SIZES)
        spandsp.t30_set_tx_ident(state, ident[:IDENT_AT_MOST].encode("ascii", "replace"))
        ended = _PHASE_E(lambda _state, _data, code: made._ended(code))
        made._keeps.append(ended)
        spandsp.t30_set_phase_e_handler(state, ended, None)
        return made

    @property
    def _state(self) -> Any:
        return library().fax_get_t30_state(self._fax)

    def _ended(self, code: int) -> None:
        self.code = code

    def hear(self, samples: bytes) -> None:
        library().fax_rx(self._fax, ctypes.create_string_buffer(samples, len(samples)), len(samples) // 2)

    def speak(self, count: int) -> bytes:
        """So many samples; silence where the machine is silent."""
        sound = ctypes.create_string_buffer(count * 2)
        library().fax_tx(self._fax, sound, count)
        return sound.raw

    @property
    def pages(self) -> int:
        """How many the other machine has confirmed, or sent."""
        found = _Statistics()
        library().t30_get_transfer_statistics(self._state, byref(found))
        return int(max(found.pages_tx, found.pages_rx))

    @property
    def words(self) -> str:
        return str(library().t30_completion_code_to_str(self.code or 0).decode())

    def close(self) -> None:
        if self._fax:
            library().fax_free(self._fax)
            self._fax = 0
