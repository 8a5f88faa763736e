"""Text as sound, by espeak-ng: a program of its own, 8,000 samples a second, 16 bits."""

import asyncio
import io
import wave
from functools import lru_cache

import numpy
import numpy.typing
import soxr

RATE = 8_000
WORDS_A_MINUTE = 150
SECONDS = 20.0
# Which of espeak-ng's voices stands for the one that a customer has chosen.
VOICES = {
    "Polly.Joanna": "en-us+f3",
    "Polly.Matthew": "en-us+m3",
    "Polly.Amy": "en-gb+f3",
    "Polly.Brian": "en-gb+m3",
    "Polly.Lupe": "es-419+f3",
    "Polly.Miguel": "es-419+m3",
    "Polly.Lucia": "es+f3",
    "Polly.Enrique": "es+m3",
    "Polly.Chantal": "fr-fr+f3",
    "Polly.Lea": "fr-fr+f3",
    "Polly.Mathieu": "fr-fr+m3",
}


class Mute(Exception):
    """espeak-ng is not there, or cannot say it."""


async def spoken(voice: str, words: str) -> bytes:
    """These words as sound. Raises Mute."""
    try:
        program = await asyncio.create_subprocess_exec(
            "espeak-ng", "-v", VOICES.get(voice, "en-us+f3"), "-s", str(WORDS_A_MINUTE), "--stdin", "--stdout",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise Mute(f"espeak-ng cannot be started: {error}") from error
    try:
        async with asyncio.timeout(SECONDS):
            sound, _ = await program.communicate(words.encode())
    except TimeoutError:
        program.kill()
        await program.wait()
        raise Mute("espeak-ng takes too long.") from None
    if program.returncode != 0 or not sound:
        raise Mute(f"espeak-ng ended with {program.returncode}.")
    return await asyncio.to_thread(_as_telephone, sound)


def _as_telephone(sound: bytes) -> bytes:
    with wave.open(io.BytesIO(sound)) as said:
        rate, samples = said.getframerate(), numpy.frombuffer(sound[44:], dtype="<i2")
    slower: numpy.typing.NDArray[numpy.int16] = soxr.resample(samples, rate, RATE)
    return slower.astype("<i2").tobytes()


@lru_cache
def ringing() -> bytes:
    """Four seconds of what a caller hears while it rings elsewhere: 440 and 480 Hz for two of them."""
    at = numpy.arange(2 * RATE) / RATE
    tone = 4_000 * (numpy.sin(2 * numpy.pi * 440 * at) + numpy.sin(2 * numpy.pi * 480 * at))
    return tone.astype("<i2").tobytes() + bytes(2 * RATE * 2)
