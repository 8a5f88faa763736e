"""What every business table shares, as migration operations: tenant scope, privileges, immutability, partitions."""

from collections.abc import Sequence

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from postmeter.db.roles import roles_of

READ, APPEND, WRITE = "SELECT", "SELECT, INSERT", "SELECT, INSERT, UPDATE, DELETE"


def tenant(table: str, *, may: str = WRITE, key: str = "customer_id", or_when: str = "") -> migrations.RunPython:
    """Row-level security on `table`, forced on its owner too, and the application's privileges on it.

    `or_when` widens what may be *read*, in SQL (sign-in needs a person's own seats before the customer is known).
    """

    def forwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
        roles = roles_of(str(editor.connection.settings_dict["NAME"]))
        # The sub-select is evaluated once a statement instead of once a row.
        mine = f"{key} = (SELECT nullif(current_setting('app.customer', true), '')::bigint)"
        reads = f"{mine} OR {or_when}" if or_when else mine
        for statement in (
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)",
            f'CREATE POLICY one_customer ON {table} TO "{roles.app}" USING ({reads}) WITH CHECK ({mine})',
            f'CREATE POLICY every_customer ON {table} TO "{roles.every}" USING (true) WITH CHECK (true)',
            f'GRANT {may} ON {table} TO "{roles.app}"',
        ):
            editor.execute(statement)

    return migrations.RunPython(forwards, migrations.RunPython.noop)


def shared(table: str, *, may: str = READ) -> migrations.RunPython:
    """A table without a customer: people, look-ups, jobs."""

    def forwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
        roles = roles_of(str(editor.connection.settings_dict["NAME"]))
        editor.execute(f'GRANT {may} ON {table} TO "{roles.app}"')

    return migrations.RunPython(forwards, migrations.RunPython.noop)


def operators(table: str, *, may: str = WRITE) -> migrations.RunPython:
    """A table of the operator, without a customer: only who may see every customer reaches it (`scope.every_customer`)."""

    def forwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
        roles = roles_of(str(editor.connection.settings_dict["NAME"]))
        editor.execute(f'GRANT {may} ON {table} TO "{roles.every}"')

    return migrations.RunPython(forwards, migrations.RunPython.noop)


def function(signature: str) -> migrations.RunPython:
    """Let the application call a function and nobody else."""

    def forwards(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
        roles = roles_of(str(editor.connection.settings_dict["NAME"]))
        editor.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        editor.execute(f'GRANT EXECUTE ON FUNCTION {signature} TO "{roles.app}"')

    return migrations.RunPython(forwards, migrations.RunPython.noop)


def immutable(table: str) -> migrations.RunSQL:
    """Rows that are never changed nor removed: corrections are new rows."""
    return migrations.RunSQL(
        f"CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION db_refuse_change()",
        f"DROP TRIGGER immutable ON {table}",
    )


def partitioned(table: str) -> migrations.RunSQL:
    """Have `db_ensure_partitions` keep this table's partitions ahead of time."""
    return migrations.RunSQL(
        f"INSERT INTO db_partitioned (name) VALUES ('{table}')",  # noqa: S608 - a migration's own words
        f"DELETE FROM db_partitioned WHERE name = '{table}'",  # noqa: S608
    )


def model_only(operations: Sequence[migrations.operations.base.Operation], sql: str) -> migrations.SeparateDatabaseAndState:
    """A table that Django reads but whose SQL we write: partitions, composite foreign keys, CHECKs."""
    return migrations.SeparateDatabaseAndState(
        database_operations=[migrations.RunSQL(sql, migrations.RunSQL.noop)], state_operations=list(operations)
    )
