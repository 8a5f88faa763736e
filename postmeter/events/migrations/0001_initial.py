from django.db import migrations, models

from postmeter.db.tables import APPEND, immutable, model_only, partitioned, tenant

EVENT = """
CREATE TABLE events_event (
    customer_id bigint NOT NULL,
    id bigint NOT NULL DEFAULT next_id(),
    kind text NOT NULL,
    actor text NOT NULL,
    subject_id bigint NOT NULL,
    data jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX events_subject ON events_event (customer_id, subject_id, id);
CREATE TABLE events_outbox (
    customer_id bigint NOT NULL,
    id bigint NOT NULL,
    kind text NOT NULL,
    PRIMARY KEY (customer_id, id)
);
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("db", "0001_ids_and_partitions")]
    operations = [
        model_only(
            [
                migrations.CreateModel(
                    name="Event",
                    fields=[
                        ("pk", models.CompositePrimaryKey("customer_id", "id", blank=True, editable=False, primary_key=True, serialize=False)),
                        ("customer_id", models.BigIntegerField()),
                        ("id", models.BigIntegerField(db_default=models.expressions.RawSQL("next_id()", []))),
                        ("kind", models.TextField()),
                        ("actor", models.TextField()),
                        ("subject_id", models.BigIntegerField()),
                        ("data", models.JSONField()),
                        ("at", models.DateTimeField()),
                    ],
                    options={"db_table": "events_event", "managed": True},
                )
            ],
            EVENT,
        ),
        tenant("events_event", may=APPEND),
        immutable("events_event"),
        partitioned("events_event"),
        tenant("events_outbox"),
    ]
