from pathlib import Path

from django.db import migrations, models

from postmeter.db.tables import READ, function, immutable, model_only, partitioned, tenant

SQL = Path(__file__).parents[1] / "sql"
PK = models.CompositePrimaryKey("customer_id", "id", blank=True, editable=False, primary_key=True, serialize=False)
ROW = [
    ("pk", PK),
    ("customer_id", models.BigIntegerField()),
    ("id", models.BigIntegerField(db_default=models.expressions.RawSQL("next_id()", []))),
]


class Migration(migrations.Migration):
    initial = True
    dependencies = [("db", "0001_ids_and_partitions")]
    operations = [
        model_only(
            [
                migrations.CreateModel(
                    name="Account",
                    fields=[
                        *ROW,
                        ("kind", models.TextField()),
                        ("unit", models.TextField()),
                        ("ref_id", models.BigIntegerField()),
                        ("limited", models.BooleanField()),
                        ("normal", models.TextField()),
                        ("limit_micros", models.BigIntegerField()),
                        ("debits_posted", models.BigIntegerField()),
                        ("credits_posted", models.BigIntegerField()),
                        ("debits_pending", models.BigIntegerField()),
                    ],
                    options={"db_table": "ledger_account"},
                ),
                migrations.CreateModel(
                    name="Transfer",
                    fields=[
                        *ROW,
                        ("debit_account_id", models.BigIntegerField()),
                        ("credit_account_id", models.BigIntegerField()),
                        ("amount_micros", models.BigIntegerField()),
                        ("code", models.TextField()),
                        ("ref_id", models.BigIntegerField()),
                        ("pending", models.BooleanField()),
                        ("expires_at", models.DateTimeField(null=True)),
                        ("at", models.DateTimeField()),
                    ],
                    options={"db_table": "ledger_transfer"},
                ),
                migrations.CreateModel(
                    name="Resolution",
                    fields=[
                        ("pk", models.CompositePrimaryKey("customer_id", "hold_id", blank=True, editable=False, primary_key=True, serialize=False)),
                        ("customer_id", models.BigIntegerField()),
                        ("hold_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField()),
                        ("action", models.TextField()),
                        ("debit_account_id", models.BigIntegerField()),
                        ("credit_account_id", models.BigIntegerField()),
                        ("amount_micros", models.BigIntegerField()),
                        ("code", models.TextField()),
                        ("ref_id", models.BigIntegerField()),
                        ("at", models.DateTimeField()),
                    ],
                    options={"db_table": "ledger_resolution"},
                ),
            ],
            (SQL / "tables.sql").read_text(),
        ),
        tenant("ledger_account", may=READ),
        tenant("ledger_watch", may=READ),
        tenant("ledger_transfer", may=READ),
        tenant("ledger_resolution", may=READ),
        immutable("ledger_transfer"),
        immutable("ledger_resolution"),
        partitioned("ledger_transfer"),
        partitioned("ledger_resolution"),
        migrations.RunSQL((SQL / "functions.sql").read_text(), migrations.RunSQL.noop),
        function("ledger_open(bigint, text, text, bigint, boolean, text)"),
        function("ledger_set_watch(bigint, bigint, text, bigint)"),
        function("ledger_set_limit(bigint, bigint, bigint)"),
        function("ledger_hold(bigint, timestamptz, bigint, bigint, text, timestamptz, bigint[], bigint[], bigint[], boolean)"),
        function("ledger_resolve(bigint, timestamptz, bigint[], text[], bigint[])"),
        function("ledger_post(bigint, timestamptz, bigint[], bigint[], bigint[], bigint[], text[], bigint[], boolean)"),
        function("ledger_give(bigint, timestamptz, bigint, bigint, bigint, bigint, bigint, bigint, text, bigint)"),
        function("ledger_take(bigint, timestamptz, bigint, bigint, bigint, bigint, bigint, bigint, text, bigint)"),
    ]
