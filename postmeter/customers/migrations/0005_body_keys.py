import django.db.models.expressions
from django.db import migrations, models

from postmeter.db.tables import tenant


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0004_quiet_hours"),
    ]

    operations = [
        migrations.CreateModel(
            name="BodyKey",
            fields=[
                ("pk", models.CompositePrimaryKey("customer_id", "id", blank=True, editable=False, primary_key=True, serialize=False)),
                ("customer_id", models.BigIntegerField()),
                ("id", models.BigIntegerField(db_default=django.db.models.expressions.RawSQL("next_id()", []))),
                ("wrapped", models.BinaryField()),
                ("under", models.TextField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "customers_body_key",
            },
        ),
        tenant("customers_body_key"),
    ]
