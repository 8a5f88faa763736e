"""Documents become fax pages: counted, upright, black and white, and drawn where nothing of theirs can do harm."""

import io
from collections.abc import Sequence

import pypdfium2 as pdfium
import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from postmeter.kit.refusals import BadInput
from postmeter.messaging import faxes
from postmeter.messaging.faxes import Cover, Pages, child, render
from postmeter.messaging.faxes.pages import TO_AT, TO_SIZE, addressed, preview

COVER = Cover("Harbour Clinic", "+15550100123", "12 Harbour St, Springfield", "Dear Dr Weiß,\n\nplease find it attached.")


def pdf(pages: int, size: str = "width: 8.5in, height: 11in") -> bytes:
    made = "\n#pagebreak()\n".join("#lorem(40)" for _ in range(pages))
    return bytes(typst.compile(f"#set page({size})\n{made}".encode(), format="pdf"))


def picture(kind: str, size: tuple[int, int] = (300, 200), mode: str = "RGB", **how: object) -> bytes:
    drawn = Image.new(mode, size, 0 if mode == "RGBA" else "white")
    ImageDraw.Draw(drawn).rectangle((20, 20, 80, 60), fill="black")
    made = io.BytesIO()
    drawn.save(made, format=kind, **how)
    return made.getvalue()


def fax(content: bytes, kind: str = "application/pdf", cover: Cover | None = None) -> Pages:
    return render([("it", kind, content)], cover)


def frames(tiff: bytes) -> list[Image.Image]:
    with Image.open(io.BytesIO(tiff)) as pages:
        found = []
        for n in range(pages.n_frames):
            pages.seek(n)
            assert (pages.mode, pages.info["compression"], pages.size) == ("1", "group4", (child.WIDTH, child.HEIGHT))
            assert [float(each) for each in pages.info["dpi"]] == [child.ACROSS, child.DOWN]
            found.append(pages.copy())
    return found


def ink(page: Image.Image, box: tuple[int, int, int, int] | None = None) -> int:
    return (page.crop(box) if box else page).histogram()[0]


@pytest.mark.parametrize("pages", [1, 2, 50])
def test_a_document_has_as_many_fax_pages_as_pages(pages: int) -> None:  # S-040 A-07
    drawn = fax(pdf(pages))
    assert drawn.count == pages == len(frames(drawn.tiff))
    assert all(ink(page) > 1_000 for page in frames(drawn.tiff))


def test_the_cover_sheet_comes_first_and_leaves_room_for_its_recipient() -> None:
    drawn = fax(pdf(1), cover=COVER)
    room = (TO_AT[0], TO_AT[1], child.WIDTH - 200, TO_AT[1] + TO_SIZE)
    assert drawn.count == 2
    assert ink(frames(drawn.tiff)[0], room) == 0
    sent = pdfium.PdfDocument(addressed(drawn.tiff, to="+15550100999"))
    assert len(sent) == 2
    first = sent[0].render(scale=child.ACROSS / 72).to_pil().convert("1").resize((child.WIDTH, child.HEIGHT))
    assert ink(first, room) > 100


def test_the_head_of_each_page_is_left_to_the_line_that_the_law_asks_for() -> None:
    drawn = render(
        [("a", "application/pdf", pdf(1, "width: 4in, height: 9in, margin: 0pt")), ("b", "image/png", picture("PNG"))], None
    )
    assert [ink(page, (0, 0, child.WIDTH, child.BAND)) for page in frames(drawn.tiff)] == [0, 0]


def test_a_cover_sheet_alone_is_a_fax() -> None:
    assert render([], COVER).count == 1


def test_what_people_wrote_is_never_markup_and_long_names_wrap() -> None:
    hostile = Cover(
        "#panic() " * 30, "+15550100123", "$x$ *a* #import", "= Not a heading\n#sys.inputs\n" + "wörd " * 300 + "診療所"
    )
    assert render([], hostile).count == 2  # so long a text goes on on a second sheet


@pytest.mark.parametrize(
    ("kind", "mode", "how"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "L", {}),
        ("JPEG", "RGB", {}),
        ("GIF", "P", {}),
        ("TIFF", "RGB", {}),
    ],
)
def test_pictures_of_each_kind_are_a_page(kind: str, mode: str, how: dict[str, object]) -> None:
    drawn = Image.new(mode, (300, 200), None if mode == "RGBA" else "white")
    ImageDraw.Draw(drawn).rectangle((20, 20, 80, 60), fill="black")
    made = io.BytesIO()
    drawn.save(made, format=kind, **how)
    [page] = frames(fax(made.getvalue(), f"image/{kind.lower()}").tiff)
    # What is clear is white, and the box is there: a twenty-fifth of the picture.
    assert 0.01 < ink(page) / (page.width * page.height) < 0.1


def test_a_tiff_of_three_pictures_is_three_pages_and_a_moving_gif_is_one() -> None:
    more = [Image.new("L", (100, 100), shade) for shade in (0, 250)]
    assert fax(picture("TIFF", mode="L", save_all=True, append_images=more), "image/tiff").count == 3
    assert fax(picture("GIF", mode="L", save_all=True, append_images=more), "image/gif").count == 1


def test_what_lies_on_its_side_is_turned_upright() -> None:
    [wide] = frames(fax(picture("PNG", (2_000, 500)), "image/png").tiff)
    [high] = frames(fax(picture("PNG", (500, 2_000)), "image/png").tiff)
    assert (wide.getbbox(), high.getbbox()) == (high.getbbox(), wide.getbbox())


def test_a_picture_whose_dots_are_not_square_keeps_its_shape() -> None:
    """As fax machines save them: twice as many dots across an inch as down it."""

    def outline(size: tuple[int, int], dots: tuple[int, int]) -> tuple[int, int, int, int] | None:
        made = io.BytesIO()
        Image.new("L", size, 0).save(made, format="TIFF", dpi=dots)
        [page] = frames(fax(made.getvalue(), "image/tiff").tiff)
        return ImageOps.invert(page.convert("L")).getbbox()

    assert outline((400, 200), (200, 100)) == outline((400, 400), (100, 100)) != outline((400, 200), (100, 100))


def test_a_photograph_is_dots_and_a_text_is_not() -> None:
    grey = Image.linear_gradient("L").resize((600, 800))
    made = io.BytesIO()
    grey.save(made, format="PNG")
    [page] = frames(fax(made.getvalue(), "image/png").tiff)
    drawn = page.crop((100, 1_000, 1_600, 1_400))
    share = ink(drawn) / (drawn.width * drawn.height)
    assert 0.3 < share < 0.7


@settings(max_examples=8, deadline=None)
@given(st.floats(0.5, 50), st.floats(0.5, 50))
def test_pages_of_any_shape_fit_on_one(width: float, height: float) -> None:
    drawn = fax(pdf(1, f"width: {width}in, height: {height}in, margin: 0pt"))
    assert len(frames(drawn.tiff)) == drawn.count


def locked() -> bytes:
    """A PDF that asks for a password."""
    body = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    body += b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]>>endobj\n"
    secret = b"/Encrypt<</Filter/Standard/V 1/R 2/O<" + b"01" * 32 + b">/U<" + b"02" * 32 + b">/P -4>>/ID[<00><00>]"
    return body + b"trailer<</Size 4/Root 1 0 R" + secret + b">>\n%%EOF\n"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([("a.pdf", "application/pdf", b"%PDF-1.7 broken")], "damaged"),
        ([("a.pdf", "application/pdf", pdf(2)[:400])], "damaged"),
        ([("a.pdf", "application/pdf", locked())], "password"),
        ([("a.png", "image/png", b"\x89PNG\r\n\x1a\nbroken")], "damaged"),
        ([("a.jpg", "image/jpeg", picture("JPEG")[:60])], "damaged"),
        ([("a.pdf", "application/pdf", picture("PNG"))], "damaged"),
        ([("a.svg", "application/octet-stream", b"<svg/>")], "cannot be faxed"),
        ([("a.html", "text/html", b"<html>")], "cannot be faxed"),
        ([], "nothing to fax"),
        ([("wide.pdf", "application/pdf", pdf(1, "width: 100in, height: 2in"))], "bigger than 60 inches"),
        ([("many.pdf", "application/pdf", pdf(101))], "more than 100 pages"),
        ([("a.pdf", "application/pdf", pdf(60)), ("b.pdf", "application/pdf", pdf(60))], "more than 100 pages"),
        ([("bomb.png", "image/png", picture("PNG", (20_000, 20_000), "1"))], "too many dots"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_its_name(files: Sequence[tuple[str, str, bytes]], says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        render(files, None)
    assert refused.value.field == "media"
    assert refused.value.remedy
    assert not files or files[0][0] in refused.value.text or "pages" in refused.value.text


@pytest.mark.parametrize("program", ["import os; os.abort()", "print(end='')", "raise SystemExit(1)", "x = bytearray(10**13)"])
def test_a_child_that_dies_is_a_refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: object, program: str) -> None:
    path = f"{tmp_path}/child.py"
    with open(path, "w") as file:
        file.write(f"import sys\nsys.stdin.buffer.read()\n{program}\n")
    monkeypatch.setattr(faxes, "CHILD", path)
    with pytest.raises(BadInput, match="too much to draw"):
        fax(pdf(1))


def test_a_child_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    path = f"{tmp_path}/child.py"
    with open(path, "w") as file:
        file.write("import sys, threading\nsys.stdin.buffer.read()\nthreading.Event().wait()\n")
    monkeypatch.setattr(faxes, "CHILD", path)
    monkeypatch.setattr(faxes, "SECONDS", 0.5)
    with pytest.raises(BadInput, match="too much to draw"):
        fax(pdf(1))


def test_the_child_knows_nothing_of_ours_and_may_use_only_so_much(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("POSTMETER_SECRET_KEY", "secret")
    path = f"{tmp_path}/child.py"
    with open(path, "w") as file:
        file.write(
            f"import json, os, runpy, sys\nsys.stdin.buffer.read()\nlimit = runpy.run_path({str(child.__file__)!r})['limit']\nlimit()\n"
            "import resource\n"
            "told = [sorted(os.environ), resource.getrlimit(resource.RLIMIT_CPU)[0], resource.getrlimit(resource.RLIMIT_AS)[0]]\n"
            "print(json.dumps({'refused': json.dumps(told), 'remedy': ''}))\n"
        )
    monkeypatch.setattr(faxes, "CHILD", path)
    with pytest.raises(BadInput) as said:
        fax(pdf(1))
    assert "POSTMETER" not in said.value.text
    assert f"{child.CPU_SECONDS}, {child.MEMORY_BYTES}" in said.value.text


def test_a_preview_is_one_page_in_the_shape_of_paper() -> None:
    drawn = fax(pdf(3))
    with Image.open(io.BytesIO(preview(drawn.tiff, 2, width=600))) as seen:
        assert seen.format == "PNG"
        assert seen.width == 600
        assert abs(seen.height / seen.width - 2292 / 1728 * 204 / 196) < 0.01
    for page in (0, 4):
        with pytest.raises(IndexError):
            preview(drawn.tiff, page)
