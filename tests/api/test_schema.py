"""The OpenAPI document says what the door does, and the door does what it says."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from postmeter.api.app import OPERATIONS, openapi_text
from tests.api.conftest import issue_key
from tests.cast import Cast
from tests.stage import Stage

REPOSITORY = Path(__file__).resolve().parents[2]
SECONDS, EXAMPLES = 60, 12
# A body that breaks the schema and is too large besides is refused for its size, before it is read.
CONFIG = """[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
"""


def test_the_snapshot_is_the_document() -> None:
    snapshot = (REPOSITORY / "docs" / "api" / "openapi.json").read_text()
    assert snapshot == openapi_text(), "refresh it: python -m postmeter.api docs/api/openapi.json"


def test_every_operation_declares_what_it_may_be_refused_with() -> None:
    document = msgspec.json.decode(openapi_text())
    described = [each for methods in document["paths"].values() for each in methods.values()]
    assert {each["operationId"] for each in described} == {operation.name for operation in OPERATIONS}
    for each in described:
        assert {"401", "403", "422", "429", "500", "503"} <= set(each["responses"])
        for status, response in each["responses"].items():
            if not status.startswith("2"):
                assert response["content"]["application/problem+json"]["examples"]


def test_nothing_that_schemathesis_thinks_of_breaks_the_door(stage: Stage, cast: Cast, tmp_path: Path) -> None:
    _, secret = issue_key(cast.clinic())
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file",
        str(tmp_path / "schemathesis.toml"),
        "run",
        f"{stage.url}/v1/openapi.json",
        "--header",
        f"Authorization: Bearer {secret}",
        "--phases=examples,coverage,fuzzing",
        "--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
        "response_headers_conformance,negative_data_rejection,ignored_auth,unsupported_method",
        f"--max-time={SECONDS}",
        f"--max-examples={EXAMPLES}",
        "--continue-on-failure",
        "--seed=20",
        "--warnings=off",
        "--no-color",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ, timeout=SECONDS * 4)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8_000:]
    assert f"{len(OPERATIONS)} tested" in done.stdout or f"Tested: {len(OPERATIONS)}" in done.stdout, done.stdout[-3_000:]
