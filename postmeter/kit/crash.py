"""Crash points: named moments between two durable steps, at which a test lets the process die.

`POSTMETER_CRASH_AT=topups.intent_written` makes the process kill itself (SIGKILL: no cleaning up, no goodbye) when it gets
there, `topups.intent_written:3` when it gets there for the third time. Everywhere else the variable is not set, and a crash
point costs one comparison.
"""

import itertools
import os
import signal

_name, _, _turn = os.environ.get("POSTMETER_CRASH_AT", "").partition(":")
_passes = itertools.count(1)


def crash_point(name: str) -> None:
    """Die here if this process was told to."""
    if name == _name and next(_passes) == int(_turn or 1):
        os.write(2, f"dying at crash point {name}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
