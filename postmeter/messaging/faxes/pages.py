"""What is done with pages that `render` made: looked at, addressed, and turned into a PDF. These bytes are our own."""

import io
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont, ImageSequence

from postmeter.messaging.faxes.child import ACROSS, DOWN

TO_AT, TO_SIZE = (356, 394), 44  # where the cover sheet has left room after "To"


def preview(tiff: bytes, page: int, *, width: int = 600) -> bytes:
    """One page, the first is 1, as a PNG for people to look at. Raises IndexError where there is no such page."""
    with Image.open(io.BytesIO(tiff)) as pages:
        if not 1 <= page <= getattr(pages, "n_frames", 1):
            raise IndexError(page)
        pages.seek(page - 1)
        height = round(width * pages.height / pages.width * ACROSS / DOWN)
        made = io.BytesIO()
        pages.convert("L").resize((width, height), Image.Resampling.BOX).save(made, format="PNG", optimize=True)
    return made.getvalue()


def addressed(tiff: bytes, *, to: str, kind: str = "application/pdf") -> bytes:
    """The pages as one PDF, or as a TIFF; `to`, where it is not empty, is written on the cover sheet, which is the first."""
    with Image.open(io.BytesIO(tiff)) as pages:
        drawn = [frame.copy() for frame in ImageSequence.Iterator(pages)]
    if to:
        pen = ImageDraw.Draw(drawn[0])
        pen.fontmode = "1"  # black or white: a fax machine has nothing between
        pen.text(TO_AT, to, font=_font(), fill=0)
    made = io.BytesIO()
    form = {"format": "PDF"} if kind == "application/pdf" else {"format": "TIFF", "compression": "group4"}
    drawn[0].save(made, **form, save_all=True, append_images=drawn[1:], dpi=(ACROSS, DOWN))
    return made.getvalue()


@lru_cache
def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(TO_SIZE)
