from django.db import migrations, models


def _kept(model: str, name: str, **options: object) -> list[migrations.operations.base.Operation]:
    """The column stays; what Django calls it says that its text is sealed."""
    field = models.TextField(db_column=name, **options)
    return [migrations.RenameField(model, name, f"{name}_sealed"), migrations.AlterField(model, f"{name}_sealed", field)]


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0003_kinds"),
        ("customers", "0005_body_keys"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                *_kept("message", "body"),
                *_kept("inbound", "body"),
                *_kept("quoteitem", "body", blank=True, default=""),
                *_kept("quoteitem", "cheaper", blank=True, default=""),
            ]
        ),
    ]
