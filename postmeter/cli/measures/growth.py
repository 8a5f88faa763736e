"""Ten million messages that stand already, spread over the weeks before this one, as they would be after months of use."""

from datetime import UTC, datetime, timedelta

import psycopg

WEEKS = 20


def second_database(url: str) -> str:
    """Another database on the same server, migrated. Returns its owner's address."""
    from postmeter.cli.bench import prepare

    name = "grown"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    grown = url.rsplit("/", 1)[0] + f"/{name}"
    prepare(grown)
    return grown


def fill(url: str, rows: int) -> None:
    """Delivered messages with their holds, charges and receipts, in the partitions of past weeks; then ANALYZE."""
    start = datetime.now(UTC) - timedelta(weeks=WEEKS)
    each = rows // WEEKS
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT db_ensure_partitions(%s, %s)", [start, WEEKS + 8])
        for week in range(WEEKS):
            at = start + timedelta(weeks=week)
            for statement in _STATEMENTS:
                connection.execute(statement, {"at": at, "rows": each})
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


_IDS = "generate_series(0, %(rows)s::bigint - 1) AS n"
# Two hundred customers; ids rise through the first hours of each week, as `next_id()` would have drawn them.
_ID = "db_id_at(%(at)s) + n * 8192"
_STATEMENTS = (
    f"""INSERT INTO ledger_transfer (customer_id, id, debit_account_id, credit_account_id, amount_micros, code,
            ref_id, pending, expires_at, at)
        SELECT n %% 200 + 1, {_ID}, 1, 2, 11400, 'sms', {_ID}, true, %(at)s, %(at)s FROM {_IDS}""",  # noqa: S608
    f"""INSERT INTO ledger_resolution (customer_id, hold_id, id, action, debit_account_id, credit_account_id,
            amount_micros, code, ref_id, at)
        SELECT n %% 200 + 1, {_ID}, {_ID} + 1, 'post', 1, 2, 11400, 'sms', {_ID}, %(at)s FROM {_IDS}""",  # noqa: S608
    f"""INSERT INTO messaging_message (customer_id, id, batch_id, wallet_id, channel, sender, recipient, body, encoding, segments, unit,
            price_micros, fee_micros, price_list_id, state, provider, provider_ref, charged_micros, created_by, created_at,
            changed_at, due_at)
        SELECT n %% 200 + 1, {_ID}, 0, 1, 'sms', '+19990000000', '+1999' || lpad((n %% 10000000)::text, 7, '0'),
            'Hello Ana, your appointment at Harbour Physio is tomorrow at 10:30. Reply C to confirm or call us.', 'GSM-7', 1, 'USD',
            7900, 3500, 1, 'delivered', 'twilio', 'SM' || n, 11400, 'bench', %(at)s, %(at)s, %(at)s FROM {_IDS}""",  # noqa: S608
    f"""INSERT INTO messaging_receipt (customer_id, message_id, source, status, error_code, id, provider, provider_ref, raw, at)
        SELECT n %% 200 + 1, {_ID}, 'callback', 'delivered', '', {_ID} + 2, 'twilio', 'SM' || n, '{{}}', %(at)s FROM {_IDS}""",  # noqa: S608
)
