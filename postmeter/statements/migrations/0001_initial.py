import django.db.models.expressions
from django.db import migrations, models

from postmeter.db.tables import tenant


class Migration(migrations.Migration):

    initial = True

    dependencies = [('db', '0001_ids_and_partitions')]

    operations = [
        migrations.CreateModel(
            name='Statement',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('wallet_id', models.BigIntegerField()),
                ('month', models.DateField()),
                ('time_zone', models.TextField()),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('unit', models.TextField()),
                ('opening_micros', models.BigIntegerField()),
                ('closing_micros', models.BigIntegerField()),
                ('movements', models.IntegerField()),
                ('sha256', models.CharField(max_length=64)),
                ('closed_at', models.DateTimeField()),
                ('mail_started_at', models.DateTimeField(null=True)),
                ('mailed_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'statements_statement',
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'wallet_id', 'month'), name='statements_statement_once'), models.CheckConstraint(condition=models.Q(('since__lt', models.F('until'))), name='statements_statement_span')],
            },
        ),
        # What was closed stays as it was: only its mailing may be written later.
        tenant('statements_statement', may='SELECT, INSERT, UPDATE (mail_started_at, mailed_at)'),
    ]
