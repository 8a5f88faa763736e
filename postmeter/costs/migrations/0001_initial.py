import django.db.models.expressions
from django.db import migrations, models

from postmeter.db.tables import APPEND, immutable, operators


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('db', '0001_ids_and_partitions'),
    ]

    operations = [
        migrations.CreateModel(
            name='Billed',
            fields=[
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []), primary_key=True, serialize=False)),
                ('provider', models.TextField()),
                ('kind', models.TextField()),
                ('ref', models.TextField()),
                ('day', models.DateField()),
                ('units', models.IntegerField()),
                ('price_micros', models.BigIntegerField()),
                ('nth', models.SmallIntegerField()),
                ('currency', models.TextField()),
                ('at', models.DateTimeField()),
            ],
            options={
                'db_table': 'costs_billed',
                'indexes': [models.Index(fields=['provider', 'day'], name='costs_billed_day')],
                'constraints': [models.UniqueConstraint(fields=('provider', 'kind', 'ref', 'nth'), name='costs_billed_once')],
            },
        ),
        migrations.CreateModel(
            name='Run',
            fields=[
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []), primary_key=True, serialize=False)),
                ('provider', models.TextField()),
                ('day', models.DateField()),
                ('nth', models.SmallIntegerField()),
                ('part', models.SmallIntegerField(default=0)),
                ('page', models.TextField(blank=True, default='')),
                ('records', models.IntegerField(default=0)),
                ('unpriced', models.IntegerField(default=0)),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(null=True)),
                ('totals', models.JSONField(default=dict)),
            ],
            options={
                'db_table': 'costs_run',
                'constraints': [models.UniqueConstraint(fields=('provider', 'day', 'nth'), name='costs_run_once')],
            },
        ),
        operators('costs_run'),
        operators('costs_billed', may=APPEND),
        immutable('costs_billed'),
    ]
