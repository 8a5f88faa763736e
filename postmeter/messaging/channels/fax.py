"""What a fax measures: its pages; the text is its cover sheet (A-07). They are counted when they are drawn, before anything is priced."""

from postmeter.kit.refusals import BadInput
from postmeter.messaging.channels.sms import Unsendable

TEXT_AT_MOST = 2_500  # characters: one sheet
ENCODING = "FAX"


def count(text: str) -> tuple[str, int]:
    """One unit for each page; `Submission.media` says how many. Refuses a text that is too long for a cover sheet."""
    if len(text) > TEXT_AT_MOST:
        raise BadInput(
            "This text is too long for a cover sheet.", field="text", remedy=f"Use at most {TEXT_AT_MOST:,} characters."
        )
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise Unsendable(field="text", remedy="Take out what is not visible.")
    return ENCODING, 1
