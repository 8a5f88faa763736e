"""The database's roles: who may log in, who owns, who sees one customer and who may see all.

    owner            owns the tables, runs migrations; no process that serves people or the network logs in as it
    <db>_app         logs in for pages, API and callbacks; sees the customer of the transaction (`app.customer`) or nothing
    <db>_worker      logs in for the worker and the command line; like the application, and may step up to
    <db>_operator    logs in for the operator's pages; like the worker
    <db>_every       cannot log in; sees every customer; taken with SET LOCAL ROLE for the length of one transaction

Role names carry the database's name because roles belong to the whole server and two installs may share one.
"""

from dataclasses import dataclass

import psycopg
from psycopg import sql


@dataclass(frozen=True, slots=True)
class Roles:
    app: str
    worker: str
    operator: str
    every: str


def roles_of(database: str) -> Roles:
    return Roles(*(f"{database}_{name}" for name in ("app", "worker", "operator", "every")))


def ensure_roles(
    connection: "psycopg.Connection[object]",
    *,
    database: str,
    app_password: str,
    worker_password: str,
    operator_password: str = "",
) -> Roles:
    """Create or refresh the four roles; the operator's may not log in without a password.

    `connection` is the owner's, which needs CREATEROLE (a superuser has it).
    """
    roles = roles_of(database)
    with connection.transaction(), connection.cursor() as cursor:
        logins = {roles.app: app_password, roles.worker: worker_password, roles.operator: operator_password}
        for name, password in {roles.every: None, **logins}.items():
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
            verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
            login = sql.SQL("LOGIN PASSWORD {}").format(sql.Literal(password)) if password else sql.SQL("NOLOGIN")
            # What a new role may not do is PostgreSQL's default; saying it again is only allowed to a superuser.
            cursor.execute(sql.SQL("{} ROLE {} WITH {}").format(verb, sql.Identifier(name), login))
        app, every = sql.Identifier(roles.app), sql.Identifier(roles.every)
        cursor.execute(sql.SQL("GRANT {} TO {} WITH INHERIT TRUE").format(app, every))
        for name in (roles.worker, roles.operator):
            cursor.execute(sql.SQL("GRANT {} TO {} WITH INHERIT TRUE").format(app, sql.Identifier(name)))
            # It can become `every` but does not see every customer unless it says so.
            cursor.execute(sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE").format(every, sql.Identifier(name)))
        # An owner who is no superuser loads price lists for everybody as `every` does.
        cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER WITH SET TRUE").format(every))
        cursor.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), app))
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(app))
    return roles
