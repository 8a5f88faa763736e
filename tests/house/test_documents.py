"""What the documents say is so: diagrams are the machines', links lead somewhere, files and tests that are named exist.

`python -m tests.house.test_documents` pastes the diagrams anew.
"""

import re
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from postmeter.cli import COMMANDS

REPOSITORY = Path(__file__).resolve().parents[2]
DECISIONS = REPOSITORY / "docs" / "decisions"
PARTS_OF_A_DECISION = ["Context", "Decision", "Consequences", "Alternatives", "How it is held"]
# What is still to be written or taken. Only ever gets shorter.
OWED: set[str] = set()

DIAGRAM = re.compile(r"(?<=<!-- states -->\n).*?(?=<!-- /states -->)", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
PLACE = re.compile(r"(?:postmeter|tests|docs|scripts|requirements)/[\w./-]*[\w/]")
TEST_NAME = re.compile(r"test_[a-z0-9_]+")


def documents() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    names = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in names if (path := REPOSITORY / name).is_file()]


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def decisions() -> list[Path]:
    return sorted(DECISIONS.glob("[0-9]*.md"))


# --- diagrams


def rooms_with_states() -> list[str]:
    return sorted(path.parent.name for path in (REPOSITORY / "postmeter").glob("*/states.py") if path.parent.name != "kit")


def diagram_of(room: str) -> str:
    mermaid = import_module(f"postmeter.{room}.states").MACHINE.mermaid()
    return f"```mermaid\n{mermaid}\n```\n"


def readme_of(room: str) -> Path:
    return REPOSITORY / "postmeter" / room / "README.md"


@pytest.mark.parametrize("room", rooms_with_states())
def test_a_room_draws_the_states_that_its_machine_has(room: str) -> None:
    drawn = DIAGRAM.search(readme_of(room).read_text())
    assert drawn is not None, f"{room}/README.md has no diagram between <!-- states --> and <!-- /states -->"
    assert drawn[0] == diagram_of(room), "paste it anew: python -m tests.house.test_documents"


def test_rooms_with_states_were_found() -> None:
    assert {"messaging", "payments"} <= set(rooms_with_states())


# --- links and names


def links() -> Iterator[tuple[Path, str]]:
    for path in documents():
        for target in LINK.findall(FENCE.sub("", path.read_text())):
            if "://" not in target and not target.startswith("mailto:"):
                yield path, target


def headings(path: Path) -> set[str]:
    """The anchors of a document, spelled as GitHub does."""
    found = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


def leads_nowhere(path: Path, target: str) -> bool:
    file, _, anchor = target.partition("#")
    place = (path.parent / file).resolve() if file else path
    if not place.exists():
        return str(place.relative_to(REPOSITORY)) not in OWED
    return bool(anchor) and anchor not in headings(place)


def test_every_link_between_documents_leads_somewhere() -> None:
    found = list(links())
    assert len(found) > 20
    assert not [(name_of(path), target) for path, target in found if leads_nowhere(path, target)]


def test_every_file_that_a_document_names_is_there() -> None:
    named = {
        (name_of(path), word)
        for path in documents()
        for code in CODE.findall(FENCE.sub("", path.read_text()))
        for word in [code.split("::")[0]]
        if PLACE.fullmatch(word)
    }
    assert len(named) > 20
    assert not sorted((path, place) for path, place in named if place not in OWED and not (REPOSITORY / place).exists())


def test_every_test_that_a_document_names_is_there() -> None:
    written = {name for path in (REPOSITORY / "tests").glob("**/*.py") for name in TEST_NAME.findall(path.read_text())}
    written |= {path.stem for path in (REPOSITORY / "tests").glob("**/test_*.py")}
    named = {(name_of(path), name) for path in documents() for name in TEST_NAME.findall(path.read_text())}
    assert len(named) > 20
    assert not sorted((path, name) for path, name in named if name not in written)


COMMAND = re.compile(r"(?:bin/postmeter|^postmeter|`postmeter|python -m postmeter\.cli) ([a-z]+)", re.MULTILINE)
TARGET = re.compile(r"(?:^\s+|`|= )make ([a-z-]+)\b", re.MULTILINE)
VARIABLE = re.compile(r"\bPOSTMETER_[A-Z_]*[A-Z]\b")


def named_in_documents(pattern: re.Pattern[str]) -> set[str]:
    return {name for path in documents() for name in pattern.findall(path.read_text())}


def test_every_command_that_a_document_names_is_there() -> None:
    named = named_in_documents(COMMAND)
    assert named >= {"run", "verify", "ledger"}
    assert named <= set(COMMANDS)


def test_every_target_of_make_that_a_document_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = named_in_documents(TARGET)
    assert named >= {"run", "test", "demo"}
    assert named <= targets


def test_every_variable_that_a_document_names_is_read_somewhere() -> None:
    code = "".join(path.read_text() for folder in ("postmeter", "tests") for path in (REPOSITORY / folder).glob("**/*.py"))
    code += (REPOSITORY / "Makefile").read_text()
    named = named_in_documents(VARIABLE)
    assert named >= {"POSTMETER_HOME", "POSTMETER_ID_KEY"}
    assert not sorted(name for name in named if name not in code)


# --- decisions


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in decisions()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 11


@pytest.mark.parametrize("path", decisions(), ids=lambda path: path.stem)
def test_a_decision_has_its_parts_and_fits_on_a_page(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# {path.name[:4]} ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS_OF_A_DECISION
    assert text.count("\n") <= 60


def test_the_list_of_decisions_names_them_all() -> None:
    listed = LINK.findall((DECISIONS / "README.md").read_text())
    assert [target for target in listed if target[:4].isdigit()] == [path.name for path in decisions()]


# --- pasting


def paste() -> None:
    """Write each machine's diagram into its room's README."""
    for room in rooms_with_states():
        before, _, after = readme_of(room).read_text().partition("<!-- states -->\n")
        _, end, after = after.partition("<!-- /states -->")
        readme_of(room).write_text(f"{before}<!-- states -->\n{diagram_of(room)}{end}{after}")


if __name__ == "__main__":
    paste()
