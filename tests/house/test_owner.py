"""What an install needs of its database's owner."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

# Of this process alone: others of the run use the same server.
OWNER, DATABASE = f"modest_owner_{os.getpid()}", f"modest_{os.getpid()}"


@pytest.fixture
def modest(database: str) -> Iterator[str]:
    """The address of a database whose owner may make roles and nothing else."""
    server = os.environ["POSTMETER_TEST_DATABASE_URL"]
    roles = [f"{DATABASE}_{role}" for role in ("app", "worker", "operator", "every")]
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'modest'").format(sql.Identifier(OWNER)))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))
        place = server.rsplit("@", 1)[1].rsplit("/", 1)[0]
        yield f"postgresql://{OWNER}:modest@{place}/{DATABASE}"
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(DATABASE)))
        for role in [*roles, OWNER]:
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def python(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *command], env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_an_owner_that_may_make_roles_prepares_twice_and_the_doors_log_in(modest: str) -> None:
    told = {"POSTMETER_OWNER_DATABASE_URL": modest, "POSTMETER_APP_PASSWORD": "one", "POSTMETER_WORKER_PASSWORD": "two"}
    for _ in range(2):
        done = python("postmeter.cli", "prepare", "--demo", **told)
        assert done.returncode == 0, done.stderr[-2000:]
    place = modest.rsplit("@", 1)[1]
    checked = python(
        "postmeter.cli",
        "verify",
        **told,
        POSTMETER_DATABASE_URL=f"postgresql://{DATABASE}_worker:two@{place}",
        DATABASE_URL=modest,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    with psycopg.connect(f"postgresql://{DATABASE}_app:one@{place}") as door:
        assert door.execute("SELECT count(*) FROM customers_customer").fetchone() == (0,), "no customer without a scope"


def test_an_empty_database_stays_empty_when_asked(modest: str) -> None:
    told = {"POSTMETER_OWNER_DATABASE_URL": modest, "POSTMETER_APP_PASSWORD": "one", "POSTMETER_WORKER_PASSWORD": "two"}
    done = python("postmeter.cli", "prepare", **told, POSTMETER_DEMO="0")
    assert done.returncode == 0, done.stderr[-2000:]
    with psycopg.connect(modest) as owner:
        assert owner.execute("SELECT count(*) FROM customers_customer").fetchone() == (0,)
