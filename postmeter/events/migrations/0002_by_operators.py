from django.db import migrations

INDEX = "CREATE INDEX events_by_operators ON events_event (id) WHERE actor LIKE 'operator%'"


class Migration(migrations.Migration):
    """What the operator's people did is looked through by itself: few facts among very many."""

    dependencies = [("events", "0001_initial")]
    operations = [migrations.RunSQL(INDEX, "DROP INDEX events_by_operators")]
