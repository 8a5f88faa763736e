from pathlib import Path

import django.db.models.expressions
from django.db import migrations, models

from postmeter.db.tables import APPEND, function, immutable, partitioned, tenant

SQL = Path(__file__).parents[1] / 'sql'


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('db', '0001_ids_and_partitions'),
        ('events', '0001_initial'),
        ('consent', '0001_initial'),
        ('ledger', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('quote_id', models.BigIntegerField(null=True)),
                ('source', models.TextField()),
                ('accepted', models.IntegerField()),
                ('refused', models.IntegerField()),
                ('created_by', models.TextField()),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'messaging_batch',
            },
        ),
        migrations.SeparateDatabaseAndState(state_operations=[
        migrations.CreateModel(
            name='Message',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('batch_id', models.BigIntegerField()),
                ('wallet_id', models.BigIntegerField()),
                ('channel', models.TextField()),
                ('sender', models.TextField()),
                ('recipient', models.TextField()),
                ('body', models.TextField()),
                ('encoding', models.TextField()),
                ('segments', models.SmallIntegerField()),
                ('unit', models.TextField()),
                ('price_micros', models.BigIntegerField()),
                ('fee_micros', models.BigIntegerField()),
                ('price_list_id', models.BigIntegerField()),
                ('state', models.TextField()),
                ('provider', models.TextField()),
                ('provider_ref', models.TextField()),
                ('error_code', models.TextField()),
                ('charged_micros', models.BigIntegerField()),
                ('refunded_micros', models.BigIntegerField()),
                ('attempts', models.SmallIntegerField()),
                ('created_by', models.TextField()),
                ('created_at', models.DateTimeField()),
                ('changed_at', models.DateTimeField()),
                ('due_at', models.DateTimeField()),
                ('useful_until', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'messaging_message',
            },
        ),
        ]),
        migrations.CreateModel(
            name='Quote',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('wallet_id', models.BigIntegerField()),
                ('channel', models.TextField()),
                ('unit', models.TextField()),
                ('price_list_id', models.BigIntegerField()),
                ('recipients', models.IntegerField()),
                ('excluded', models.IntegerField()),
                ('segments', models.IntegerField()),
                ('price_micros', models.BigIntegerField()),
                ('fee_micros', models.BigIntegerField()),
                ('source', models.TextField()),
                ('created_by', models.TextField()),
                ('created_at', models.DateTimeField()),
                ('valid_until', models.DateTimeField()),
                ('batch_id', models.BigIntegerField(null=True)),
            ],
            options={
                'db_table': 'messaging_quote',
            },
        ),
        migrations.CreateModel(
            name='QuoteItem',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'quote_id', 'position', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('quote_id', models.BigIntegerField()),
                ('position', models.IntegerField()),
                ('line', models.IntegerField(null=True)),
                ('given', models.TextField()),
                ('recipient', models.TextField(blank=True, default='')),
                ('body', models.TextField(blank=True, default='')),
                ('encoding', models.TextField(blank=True, default='')),
                ('segments', models.IntegerField(default=0)),
                ('price_micros', models.BigIntegerField(default=0)),
                ('fee_micros', models.BigIntegerField(default=0)),
                ('forced_by', models.TextField(blank=True, default='')),
                ('cheaper', models.TextField(blank=True, default='')),
                ('cheaper_segments', models.IntegerField(default=0)),
                ('excluded_code', models.TextField(blank=True, default='')),
                ('excluded_text', models.TextField(blank=True, default='')),
            ],
            options={
                'db_table': 'messaging_quote_item',
            },
        ),
        migrations.SeparateDatabaseAndState(state_operations=[
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'message_id', 'source', 'status', 'error_code', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('message_id', models.BigIntegerField()),
                ('source', models.TextField()),
                ('status', models.TextField()),
                ('error_code', models.TextField()),
                ('id', models.BigIntegerField()),
                ('provider', models.TextField()),
                ('provider_ref', models.TextField()),
                ('raw', models.JSONField()),
                ('at', models.DateTimeField()),
            ],
            options={
                'db_table': 'messaging_receipt',
            },
        ),
        ]),
        migrations.CreateModel(
            name='Inbound',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('channel', models.TextField()),
                ('sender', models.TextField()),
                ('recipient', models.TextField()),
                ('body', models.TextField()),
                ('provider', models.TextField()),
                ('provider_ref', models.TextField()),
                ('at', models.DateTimeField()),
            ],
            options={
                'db_table': 'messaging_inbound',
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'provider', 'provider_ref'), name='messaging_inbound_once')],
            },
        ),
        migrations.RunSQL((SQL / 'tables.sql').read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((SQL / 'accept.sql').read_text(), migrations.RunSQL.noop),
        tenant('messaging_message', may='SELECT, INSERT, UPDATE'),
        tenant('messaging_receipt', may=APPEND),
        tenant('messaging_key'),
        tenant('messaging_inbound', may=APPEND),
        tenant('messaging_quote', may='SELECT, INSERT, UPDATE'),
        tenant('messaging_quote_item', may='SELECT, INSERT, DELETE'),
        tenant('messaging_batch', may='SELECT, INSERT, UPDATE'),
        immutable('messaging_receipt'),
        partitioned('messaging_message'),
        partitioned('messaging_receipt'),
    ]
