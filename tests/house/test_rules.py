"""The rules of the house that a tool does not hold for us."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LINES_MAX = 600
WORDS_OF_NOTHING = {"utils", "util", "helpers", "common", "misc", "lib", "shared"}
# Where packages come from, and where one person's computer keeps things: neither belongs into what everybody gets.
REGISTRY = re.compile(r"https?://[^\s\"'<>]*(pypi\.org|pythonhosted|registry\.npmjs|/simple/|deb\.debian|/artifactory|/nexus)")
PERSONAL_PATH = re.compile(r"(?<![\w.~}])/(?:root|work|Users|home)/[A-Za-z0-9_.-]+/")


def committed(*patterns: str) -> list[Path]:
    """The files that git knows or would add; what is ignored does not count."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in names if (path := REPOSITORY / name).is_file() and not path.is_symlink()]


def texts() -> Iterator[tuple[str, str]]:
    for path in committed():
        try:
            yield str(path.relative_to(REPOSITORY)), path.read_text()
        except UnicodeDecodeError:
            continue  # a picture or a font


def rooms() -> list[Path]:
    return sorted(path.parent for path in (REPOSITORY / "postmeter").glob("*/__init__.py"))


def test_imports_fall_like_water() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_room_explains_itself() -> None:
    assert not [room.name for room in rooms() if not (room / "README.md").exists()]


def test_nothing_is_called_utils() -> None:
    assert not [path for path in committed("*.py") if WORDS_OF_NOTHING & {*path.with_suffix("").relative_to(REPOSITORY).parts}]


@pytest.mark.parametrize("pattern", ["postmeter/*.py", "tests/*.py"])
def test_every_file_fits_in_a_head(pattern: str) -> None:
    lengths = {str(path.relative_to(REPOSITORY)): path.read_text().count("\n") for path in committed(pattern)}
    assert lengths
    assert not {name: length for name, length in lengths.items() if length > LINES_MAX}


@pytest.mark.parametrize("name", ["base", "dev"])
def test_locks_have_hashes_and_no_addresses(name: str) -> None:
    lock = (REPOSITORY / "requirements" / f"{name}.lock").read_text()
    assert "://" not in lock
    assert "--index-url" not in lock
    packages = re.split(r"\n(?=[a-z0-9])", lock)
    assert len(packages) > 20
    assert not [package.split()[0] for package in packages if "--hash=sha256:" not in package]


@pytest.mark.parametrize("name", ["base", "dev"])
def test_every_wanted_package_is_locked(name: str) -> None:
    folder = REPOSITORY / "requirements"
    wanted = re.findall(r"^([A-Za-z0-9_]+[A-Za-z0-9_-]*)", (folder / f"{name}.in").read_text(), re.MULTILINE)
    locked = re.findall(r"^([a-z0-9._-]+)==", (folder / f"{name}.lock").read_text(), re.MULTILINE)
    assert wanted
    assert not {package.lower() for package in wanted} - {*locked}


def test_no_file_names_a_registry() -> None:
    own = str(Path(__file__).relative_to(REPOSITORY))
    assert not [name for name, text in texts() if name != own and REGISTRY.search(text)]


def test_no_file_names_a_path_of_somebodys_computer() -> None:
    own = str(Path(__file__).relative_to(REPOSITORY))
    found = {name: match[0] for name, text in texts() if name != own and (match := PERSONAL_PATH.search(text))}
    assert not found


def test_every_room_with_tables_has_migrations() -> None:
    with_tables = [room for room in rooms() if "models.Model" in "".join(path.read_text() for path in room.glob("models.py"))]
    assert with_tables
    assert not [room.name for room in with_tables if not list((room / "migrations").glob("0*.py"))]


class TestMake:
    def make(self, *words: str) -> str:
        bare = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
        return subprocess.run(["make", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True, env=bare).stdout

    def test_plain_make_lists_every_target(self) -> None:
        listed = {line.split()[1] for line in self.make().splitlines()}
        phony = re.search(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
        assert phony is not None
        assert listed == {*phony[1].split()} - {"base", "dev"}
        assert listed >= {"run", "test", "check", "fix", "bench", "bench-growth", "demo", "locks"}

    def test_ci_runs_what_a_person_runs(self) -> None:
        assert "exec make test" in (REPOSITORY / ".ci" / "run").read_text()
        assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)
        plan = self.make("--dry-run", "test")
        for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports", "makemigrations --check", "pytest"):
            assert tool in plan, tool
