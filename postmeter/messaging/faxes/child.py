"""The process that draws fax pages from files that others made. It reads one request, answers once, and may use only so much.

Asked: a line of JSON, then the files' bytes one after the other. Answered: a line of JSON, `count` or `refused` with its remedy, then
the TIFF.
"""

import io
import json
import resource
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import typst
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

WIDTH, ACROSS, DOWN = 1728, 204, 196
HEIGHT = 2292  # A4 at 196 lines an inch; a Letter page, which is shorter, ends above its foot
BAND = 60  # left free at the head, for the line that the law asks for (47 CFR 68.318(d)): who calls draws it as it goes
MARGIN = 48
CPU_SECONDS, MEMORY_BYTES, FILE_BYTES = 45, 2_000_000_000, 100_000_000
INCHES_AT_MOST = 60.0
DOTS_AT_MOST = 60_000_000
NEARLY_BILEVEL = 0.9  # of the dots are nearly black or nearly white: text, which dithering would blur
COVER = Path(__file__).parent / "cover.typ"


class Refused(Exception):
    """What cannot be drawn, and what to do about it."""

    def __init__(self, text: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(text)


def main() -> None:
    limit()
    asked = json.loads(sys.stdin.buffer.readline())
    try:
        pages = list(draw_all(asked))
    except Refused as refused:
        answer({"refused": str(refused), "remedy": refused.remedy})
        return
    made = io.BytesIO()
    pages[0].save(made, format="TIFF", save_all=True, append_images=pages[1:], compression="group4", dpi=(ACROSS, DOWN))
    answer({"count": len(pages)}, made.getvalue())


def limit() -> None:
    for what, most in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    Image.MAX_IMAGE_PIXELS = DOTS_AT_MOST
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def answer(head: dict[str, Any], body: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + body)
    sys.stdout.buffer.flush()


def draw_all(asked: dict[str, Any]) -> Iterator[Image.Image]:
    """Every page, the cover sheet first. Raises Refused."""
    count = 0
    if asked["cover"]:
        made = typst.compile(COVER, sys_inputs={"cover": json.dumps(asked["cover"])}, format="pdf")
        for page in from_pdf(made, "The cover sheet", margin=0):
            count += 1
            yield page
    for file in asked["files"]:
        content, name = sys.stdin.buffer.read(file["size"]), file["name"]
        draw = from_pdf if file["kind"] == "application/pdf" else from_picture
        for page in draw(content, name):
            count += 1
            if count > asked["at_most"]:
                raise Refused(f"This fax has more than {asked['at_most']} pages.", "Send it in parts.")
            yield page


def from_pdf(content: bytes, name: str, *, margin: int = MARGIN) -> Iterator[Image.Image]:
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        said = "has a password" if "assword" in str(error) else "is damaged, or no PDF"
        raise Refused(f"{name} {said}.", "Save it as a PDF without a password and add that.") from None
    if not len(document):
        raise Refused(f"{name} has no pages.", "Add another document.")
    for page in document:
        if max(page.get_size()) > INCHES_AT_MOST * 72:
            raise Refused(f"A page of {name} is bigger than {INCHES_AT_MOST:g} inches.", "Print it to a smaller page.")
        scale = min(WIDTH * 2 / min(page.get_size()), 6.0)
        yield on_page(page.render(scale=min(scale, 4_000 / max(page.get_size())), grayscale=True).to_pil(), margin)
        page.close()


def from_picture(content: bytes, name: str) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "GIF", "TIFF")) as picture:
            frames = ImageSequence.Iterator(picture) if picture.format == "TIFF" else [picture]
            for frame in frames:
                resolution = frame.info.get("dpi", (1, 1))
                yield on_page(grey(ImageOps.exif_transpose(frame)), MARGIN, float(resolution[0]) / float(resolution[1] or 1))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused(f"{name} has too many dots.", "Make the picture smaller.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, ZeroDivisionError):
        raise Refused(f"{name} is damaged, or no picture.", "Save it anew, or as a PDF.") from None


def grey(picture: Image.Image) -> Image.Image:
    """On white, whatever shines through it."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        picture = Image.alpha_composite(white, clear)
    return picture.convert("L")


def on_page(drawn: Image.Image, margin: int, aspect: float = 1.0) -> Image.Image:
    """Upright, as big as fits and never bigger than the page's width, under the band. `aspect`: dots across to dots down, per inch."""
    if drawn.width / aspect > drawn.height:
        drawn, aspect = drawn.rotate(90, expand=True), 1 / aspect
    room_across, room_down = WIDTH - 2 * margin, HEIGHT - BAND - margin
    # Fax dots are not square: what is as wide as it is high has fewer lines than dots.
    ratio = drawn.height / drawn.width * aspect * DOWN / ACROSS
    across = min(room_across, int(room_down / ratio))
    drawn = drawn.resize((max(across, 1), max(int(across * ratio), 1)), Image.Resampling.LANCZOS)
    page = Image.new("1", (WIDTH, HEIGHT), 1)
    page.paste(bilevel(drawn), ((WIDTH - drawn.width) // 2, BAND))
    return page


def bilevel(drawn: Image.Image) -> Image.Image:
    counts = drawn.histogram()
    clear = sum(counts[:64]) + sum(counts[192:])
    if clear >= NEARLY_BILEVEL * drawn.width * drawn.height:
        return drawn.point(lambda shade: 255 if shade > 150 else 0).convert("1", dither=Image.Dither.NONE)
    return drawn.convert("1", dither=Image.Dither.FLOYDSTEINBERG)


if __name__ == "__main__":
    main()
