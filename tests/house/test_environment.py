"""`scripts/environment`: the virtual environment is made from the locks, and only when it has to be."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose locks name no package, so that installing needs no network."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "requirements").mkdir()
    shutil.copy(REPOSITORY / "scripts" / "environment", tmp_path / "scripts")
    for kind in ("base", "dev"):
        (tmp_path / "requirements" / f"{kind}.lock").write_text("")
    return tmp_path


def environment(clone: Path, kind: str, **more: str) -> "subprocess.CompletedProcess[str]":
    command = [str(clone / "scripts" / "environment"), kind]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **more})


def test_it_is_made_once_and_again_when_a_lock_changes(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)  # what an interrupted first time leaves
    first = environment(clone, "base")
    assert first.returncode == 0, first.stderr
    assert "Making .venv" in first.stdout
    assert environment(clone, "base").stdout == ""

    assert "Installing" in environment(clone, "dev").stdout
    assert environment(clone, "dev").stdout == ""

    (clone / "requirements" / "base.lock").write_text("# changed\n")
    changed = environment(clone, "dev").stdout
    assert "Installing" in changed
    assert "Making" not in changed

    (clone / "requirements" / "base.lock").write_text("click==8.1.7\n")  # no hash
    for _ in ("refused", "refused again"):
        refused = environment(clone, "base", PIP_NO_INDEX="1")
        assert refused.returncode == 1
        assert "could not be installed" in refused.stderr


def test_one_that_is_a_link_is_used_as_it_is(clone: Path, tmp_path: Path) -> None:
    (clone / ".venv").symlink_to(tmp_path / "elsewhere")
    assert environment(clone, "dev").stdout == ""
    assert not (tmp_path / "elsewhere").exists()
