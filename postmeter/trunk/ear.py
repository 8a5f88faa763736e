"""Whether a person or a machine has answered, by how long they speak before they pause. Pure but for arithmetic on samples.

People say hello and wait; a machine goes on. The limits are those that carriers use: 2.4 seconds of speech, 1.2 of silence.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy
import numpy.typing

RATE = 8_000  # samples a second
FRAME_SECONDS = 0.02
LOUD = 400  # root mean square of 16-bit samples; a quiet line has less
SPEECH_SECONDS, PAUSE_SECONDS, NOTHING_SECONDS = 2.4, 1.2, 5.0
END_PAUSE_SECONDS, GREETING_SECONDS = 1.6, 45.0


class Who(StrEnum):
    PERSON = "person"
    MACHINE = "machine"


@dataclass(slots=True)
class Ear:
    """Listens frame by frame; says who it is when it knows, and when a machine's greeting is over."""

    _time: float = 0.0
    _loud: float = 0.0  # seconds of speech
    _quiet: float = 0.0  # seconds since the last of it
    who: Who | None = None

    def hear(self, samples: bytes) -> None:
        for at in range(0, len(samples), frame := int(FRAME_SECONDS * RATE) * 2):
            self._frame(numpy.frombuffer(samples[at : at + frame], dtype="<i2").astype("f4"))

    @property
    def is_over(self) -> bool:
        """A person is answered at once; a machine when its greeting has ended."""
        if self.who is not Who.MACHINE:
            return self.who is not None
        return self._quiet >= END_PAUSE_SECONDS or self._time >= GREETING_SECONDS

    def _frame(self, frame: numpy.typing.NDArray[numpy.float32]) -> None:
        self._time += FRAME_SECONDS
        if len(frame) and float(numpy.sqrt(numpy.mean(frame * frame))) >= LOUD:
            # A breath between words belongs to what is said.
            self._loud += FRAME_SECONDS + (self._quiet if self._loud else 0.0)
            self._quiet = 0.0
        else:
            self._quiet += FRAME_SECONDS
        if self.who is None:
            if self._loud >= SPEECH_SECONDS:
                self.who = Who.MACHINE
            elif (self._loud and self._quiet >= PAUSE_SECONDS) or self._time >= NOTHING_SECONDS:
                self.who = Who.PERSON
