"""The plugin that lets no skipped test pass for a green one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TESTS = {
    "test_skips": "import pytest\ndef test_it(): pytest.skip('no Chromium here')",
    "test_skips_a_file": "import pytest\npytest.importorskip('no_such_package_at_all')\ndef test_it(): pass",
    "test_is_expected_to_fail": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False",
}


def outcome(folder: Path, name: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    (folder / f"{name}.py").write_text(TESTS[name])
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.house.nothing_skipped", str(folder / f"{name}.py")]
    bare = {key: value for key, value in os.environ.items() if key not in {"CI", "POSTMETER_NOTHING_SKIPPED"}}
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(REPOSITORY)}
    settings = {**bare, **alone, **environment}
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=settings)


@pytest.mark.parametrize("variable", [{"CI": "true"}, {"POSTMETER_NOTHING_SKIPPED": "1"}])
@pytest.mark.parametrize("name", ["test_skips", "test_skips_a_file"])
def test_a_skip_is_a_failure_where_nothing_may_be_skipped(tmp_path: Path, name: str, variable: dict[str, str]) -> None:
    done = outcome(tmp_path, name, **variable)
    assert done.returncode != 0
    assert "skipped where nothing may be skipped" in done.stdout


def test_a_person_may_skip(tmp_path: Path) -> None:
    assert outcome(tmp_path, "test_skips").returncode == 0


def test_an_expected_failure_is_not_a_skip(tmp_path: Path) -> None:
    assert outcome(tmp_path, "test_is_expected_to_fail", CI="true").returncode == 0
