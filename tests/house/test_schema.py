"""The rules that every table and function of the database keeps, read from its catalog (docs/decisions/0008, 0010)."""

import re
from collections.abc import Iterator

import psycopg
import pytest

# Tables without a customer, each with its reason.
SHARED = {
    "customers_user": "people: an address is unique across customers",
    "customers_sender_number": "a number is one customer's at a time, and whose it is must be found before the scope is known",
    "invoicing_seller": "the operator, one row",
    "invoicing_tax_rule": "the law, the same for all",
    "invoicing_exchange_rate": "what a euro costs, the same for all",
    "db_partitioned": "which tables get partitions",
    "payments_bank_account": "the operator's accounts, which every customer may read and pay to",
    "payments_bank_entry": "the operator's statements: most entries are nobody's yet, and no customer's login reads them",
    "messaging_unplaced": "receipts by a message centre's ids: whose they are is not known yet, and no customer's login reads them",
    "costs_run": "the operator's readings of providers' bills, which no customer's login reads",
    "costs_billed": "what providers bill the operator, which no customer's login reads: a bill is of all customers",
    "topups_breaker": "the operator's switch for everybody, which every customer's login may read",
    "django_cache": "rate limits that hold across processes",
}
OF_LIBRARIES = re.compile(r"account_|auth_|django_|mfa_|procrastinate_")
OUR_KEY = {"customers_customer": "id"}  # the customer itself: its id is everybody's customer_id
# Functions that serve no customer, each with its reason.
FOR_NOBODY = {
    "next_id": "ids",
    "db_id_at": "ids",
    "db_time_of": "ids",
    "ledger_tell": "a trigger",
    "db_refuse_change": "a trigger",
    "db_ensure_partitions": "partitions of all customers",
}
CLOCK = re.compile(
    r"\b(now\s*\(|current_timestamp|current_date|localtimestamp|(clock|statement|transaction)_timestamp)", re.IGNORECASE
)
GROWING = {"messaging_message", "messaging_receipt", "ledger_transfer", "ledger_resolution", "events_event"}

Rows = list[tuple[object, ...]]


class Catalog:
    """Reads the catalog as the owner. Tables are those of the schema `public` that are nobody's partition."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        tables = {str(row[0]) for row in self.rows(f"SELECT relname FROM pg_class c WHERE {TABLE} AND NOT relispartition")}
        self.of_libraries = {name for name in tables if OF_LIBRARIES.match(name)}
        self.shared = tables & set(SHARED)
        self.business = tables - self.of_libraries - self.shared

    def rows(self, statement: str, *parameters: object) -> Rows:
        return self._connection.execute(statement, parameters).fetchall()

    def close(self) -> None:
        self._connection.close()


TABLE = "relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"


@pytest.fixture(scope="module")
def catalog(database: str) -> Iterator[Catalog]:
    found = Catalog(database)
    yield found
    found.close()


def test_every_table_is_business_or_has_a_reason_not_to_be(catalog: Catalog) -> None:
    assert catalog.shared == set(SHARED)
    with_customer = {
        row[0] for row in catalog.rows("SELECT table_name FROM information_schema.columns WHERE column_name = 'customer_id'")
    }
    assert len(catalog.business) > 15
    assert catalog.business - with_customer == set(OUR_KEY)


def test_row_level_security_is_enabled_and_forced_on_every_business_table(catalog: Catalog) -> None:
    open_tables = catalog.rows(f"SELECT relname FROM pg_class c WHERE {TABLE} AND NOT (relrowsecurity AND relforcerowsecurity)")
    assert not catalog.business & {row[0] for row in open_tables}


def test_the_application_sees_one_customer_of_every_business_table(catalog: Catalog) -> None:
    policies = catalog.rows("SELECT tablename, qual FROM pg_policies WHERE policyname = 'one_customer'")
    assert {row[0] for row in policies if "app.customer" in str(row[1])} == catalog.business


def test_partitions_grant_nothing_so_nobody_reads_past_their_parent(catalog: Catalog) -> None:
    partitions = catalog.rows("SELECT oid, relacl FROM pg_class WHERE relispartition AND relkind = 'r'")
    assert len(partitions) > len(GROWING)
    assert not [row for row in partitions if row[1] is not None]


def test_every_key_of_a_business_table_starts_with_its_customer(catalog: Catalog) -> None:
    """Primary keys and every other unique index; each table has a primary key."""
    indexes = catalog.rows(
        """SELECT t.relname, i.indisprimary, a.attname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
           LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
           WHERE i.indisunique AND t.relnamespace = 'public'::regnamespace AND NOT t.relispartition"""
    )
    ours = [row for row in indexes if row[0] in catalog.business]
    assert {row[0] for row in ours if row[1]} == catalog.business
    wrong = [row for row in ours if row[2] != OUR_KEY.get(str(row[0]), "customer_id")]
    assert wrong == [("customers_customer", False, "number")], "a customer's number is for people and counts across customers"


def test_what_grows_for_ever_is_partitioned(catalog: Catalog) -> None:
    partitioned = {row[0] for row in catalog.rows(f"SELECT relname FROM pg_class WHERE {TABLE} AND relkind = 'p'")}
    kept_ahead = {row[0] for row in catalog.rows("SELECT name FROM db_partitioned")}
    assert partitioned == kept_ahead == GROWING


def test_ids_come_from_one_function_and_never_from_identity_columns(catalog: Catalog) -> None:
    columns = catalog.rows(
        """SELECT table_name, column_name FROM information_schema.columns
           WHERE table_schema = 'public' AND (is_identity = 'YES' OR column_default LIKE 'nextval%%')"""
    )
    counted = [row for row in columns if row[0] in catalog.business | catalog.shared]
    assert counted == [("customers_customer", "number")], "the number that people read; it is no key of other rows"


def test_no_business_table_has_a_foreign_key_out_of_the_business_or_without_the_customer(catalog: Catalog) -> None:
    keys = catalog.rows(
        """SELECT t.relname, f.relname, a.attname, f.relkind FROM pg_constraint k
           JOIN pg_class t ON t.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
           JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.conkey[1] WHERE k.contype = 'f'"""
    )
    ours = [row for row in keys if row[0] in catalog.business]
    assert not [row for row in ours if row[1] not in catalog.business or row[2] != "customer_id" or row[3] == "p"]


def functions(catalog: Catalog) -> Rows:
    """Name, names of the arguments and source of the functions that we wrote."""
    return [
        row
        for row in catalog.rows(
            """SELECT proname, proargnames, pg_get_functiondef(p.oid) FROM pg_proc p
               WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
               AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"""
        )
        if not OF_LIBRARIES.match(str(row[0]))
    ]


def test_no_function_reads_the_clock_but_the_one_that_makes_ids(catalog: Catalog) -> None:
    assert {row[0] for row in functions(catalog) if CLOCK.search(str(row[2]))} == {"next_id"}


def test_a_function_serves_one_customer_whom_it_is_given_first(catalog: Catalog) -> None:
    first = {str(name): (arguments or [None])[0] for name, arguments, _ in functions(catalog)}  # type: ignore[index]
    assert {"ledger_hold", "ledger_resolve", "ledger_post", "messaging_accept"} <= set(first)
    # They do nothing but call a function of one customer for each of them in turn.
    several = {"messaging_accept_each", "guard_count_each"}
    assert {name for name, argument in first.items() if argument != "p_customer_id"} == set(FOR_NOBODY) | several


def test_the_application_owns_nothing_and_appends_to_what_is_immutable(catalog: Catalog) -> None:
    app = catalog.rows("SELECT rolname FROM pg_roles WHERE rolname = current_database() || '_app'")[0][0]
    assert not catalog.rows("SELECT 1 FROM pg_class WHERE relowner = %s::regrole", app)
    for table in (
        "ledger_account",
        "ledger_transfer",
        "ledger_resolution",
        "events_event",
        "messaging_receipt",
        "invoicing_invoice",
    ):
        for right in ("UPDATE", "DELETE", "TRUNCATE"):
            assert catalog.rows("SELECT has_table_privilege(%s, %s, %s)", app, table, right) == [(False,)], (table, right)


def test_no_customers_login_reads_what_banks_told_the_operator(catalog: Catalog) -> None:
    app = catalog.rows("SELECT rolname FROM pg_roles WHERE rolname = current_database() || '_app'")[0][0]
    for table, rights in {"payments_bank_entry": [], "payments_bank_account": ["SELECT"], "topups_breaker": ["SELECT"]}.items():
        may = [
            right
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE")
            if catalog.rows("SELECT has_table_privilege(%s, %s, %s)", app, table, right) == [(True,)]
        ]
        assert may == rights


def test_the_schema_needs_no_extension(catalog: Catalog) -> None:
    assert catalog.rows("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'") == []
