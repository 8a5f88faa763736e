"""A lock on balances, for postings that follow from what they are."""

from pathlib import Path

from django.db import migrations

from postmeter.db.tables import function

SQL = Path(__file__).parents[1] / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [
        migrations.RunSQL((SQL / "lock.sql").read_text(), "DROP FUNCTION ledger_lock(bigint, bigint[])"),
        function("ledger_lock(bigint, bigint[])"),
    ]
