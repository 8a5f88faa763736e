"""Fax machines: a page that somebody lays into one, and what lies in the tray."""

import io

import pypdfium2 as pdfium
from PIL import Image, ImageDraw, ImageFont

SIZE, WIDTH = (1240, 1754), 340  # an A4 page at 150 dots an inch; of a picture of it
PAGES_AT_MOST = 20


def sample(number: str, pages: int) -> bytes:
    """A letter of so many pages, as a PDF."""
    drawn = []
    for n in range(1, min(max(pages, 1), PAGES_AT_MOST) + 1):
        page = Image.new("1", SIZE, 1)
        pen = ImageDraw.Draw(page)
        for line, words in enumerate((f"From {number}", f"Page {n}", "", "Dear colleagues,", "please find the referral below.")):
            pen.text((120, 140 + 70 * line), words, font=ImageFont.load_default(44), fill=0)
        for line in range(16):
            pen.rectangle((120, 640 + 56 * line, 1120 - 37 * (line * 7 % 9), 652 + 56 * line), fill=0)
        drawn.append(page)
    made = io.BytesIO()
    drawn[0].save(made, format="PDF", save_all=True, append_images=drawn[1:], resolution=150)
    return made.getvalue()


def picture_of(content: bytes, page: int) -> bytes:
    """One page, the first is 1, as a PNG; nothing where there is none, or it cannot be drawn."""
    try:
        document = pdfium.PdfDocument(content)
        drawn = document[page - 1]
    except (pdfium.PdfiumError, IndexError):
        return b""
    made = io.BytesIO()
    drawn.render(scale=WIDTH / drawn.get_width(), grayscale=True).to_pil().save(made, format="PNG")
    return made.getvalue()
