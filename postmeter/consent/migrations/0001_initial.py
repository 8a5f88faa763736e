import django.db.models.expressions
from django.db import migrations, models

from postmeter.db.tables import tenant


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('db', '0001_ids_and_partitions'),
    ]

    operations = [
        migrations.CreateModel(
            name='OptOut',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('channel', models.TextField()),
                ('address', models.TextField()),
                ('source', models.TextField()),
                ('at', models.DateTimeField()),
            ],
            options={
                'db_table': 'consent_opt_out',
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'channel', 'address'), name='consent_opt_out_once')],
            },
        ),
        tenant('consent_opt_out'),
    ]
