import django.db.models.expressions
from django.db import migrations, models

from postmeter.db.tables import APPEND, READ, immutable, shared, tenant


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('db', '0001_ids_and_partitions'),
    ]

    operations = [
        migrations.CreateModel(
            name='Series',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'name', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('name', models.TextField()),
                ('last_number', models.BigIntegerField(default=0)),
            ],
            options={
                'db_table': 'invoicing_series',
            },
        ),
        migrations.CreateModel(
            name='Invoice',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('kind', models.TextField(choices=[('invoice', 'Invoice'), ('credit_note', 'Credit note')])),
                ('series', models.TextField()),
                ('number', models.BigIntegerField()),
                ('subject_id', models.BigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('seller', models.JSONField()),
                ('buyer', models.JSONField()),
                ('lines', models.JSONField()),
                ('net_micros', models.BigIntegerField()),
                ('tax_micros', models.BigIntegerField()),
                ('total_micros', models.BigIntegerField()),
                ('issued_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'invoicing_invoice',
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'series', 'number'), name='invoicing_invoice_number'), models.UniqueConstraint(fields=('customer_id', 'kind', 'subject_id'), name='invoicing_invoice_once'), models.CheckConstraint(condition=models.Q(('total_micros', django.db.models.expressions.CombinedExpression(models.F('net_micros'), '+', models.F('tax_micros')))), name='invoicing_invoice_total')],
            },
        ),
        migrations.CreateModel(
            name='Mailing',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('invoice_id', models.BigIntegerField()),
                ('address', models.EmailField(max_length=254)),
                ('started_at', models.DateTimeField()),
                ('sent_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'invoicing_mailing',
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'invoice_id'), name='invoicing_mailing_once')],
            },
        ),
        migrations.CreateModel(
            name='Seller',
            fields=[
                ('id', models.IntegerField(default=1, primary_key=True, serialize=False)),
                ('name', models.TextField()),
                ('address', models.TextField()),
                ('country', models.CharField(max_length=2)),
                ('tax_id', models.TextField(blank=True, default='')),
                ('tax_name', models.TextField(blank=True, default='')),
                ('tax_rate_ppm', models.IntegerField(default=0)),
                ('email', models.EmailField(max_length=254)),
            ],
            options={
                'db_table': 'invoicing_seller',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='invoicing_seller_one')],
            },
        ),
        shared('invoicing_seller', may=READ),
        tenant('invoicing_series', may='SELECT, INSERT, UPDATE'),
        tenant('invoicing_invoice', may=APPEND),
        tenant('invoicing_mailing', may='SELECT, INSERT, UPDATE'),
        immutable('invoicing_invoice'),
    ]
