"""What an MMS measures: one message with its pictures, whatever its text (A-49): carriers charge it once, and their fee once."""

from postmeter.kit.refusals import BadInput
from postmeter.messaging.channels.sms import Unsendable

TEXT_AT_MOST = 1_600  # characters
ENCODING = "MMS"


def count(text: str) -> tuple[str, int]:
    """One message. Refuses a text that is too long or that no phone can show; none is needed."""
    if len(text) > TEXT_AT_MOST:
        raise BadInput("This text is too long.", field="text", remedy=f"Use at most {TEXT_AT_MOST:,} characters.")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise Unsendable(field="text", remedy="Take out what is not visible.")
    return ENCODING, 1
