import django.contrib.postgres.fields
import django.db.models.expressions
from django.db import migrations, models

from postmeter.db.tables import operators, shared, tenant


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0002_asked_at'),
    ]

    operations = [
        migrations.CreateModel(
            name='BankAccount',
            fields=[
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []), primary_key=True, serialize=False)),
                ('currency', models.CharField(max_length=3)),
                ('account', models.TextField()),
                ('also', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ('holder', models.TextField()),
                ('bank', models.TextField(blank=True, default='')),
                ('bic', models.TextField(blank=True, default='')),
                ('note', models.TextField(blank=True, default='')),
                ('closed_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'payments_bank_account',
                'constraints': [models.UniqueConstraint(fields=('account', 'currency'), name='payments_bank_account_once')],
            },
        ),
        migrations.CreateModel(
            name='BankEntry',
            fields=[
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []), primary_key=True, serialize=False)),
                ('bank_account_id', models.BigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('amount_micros', models.BigIntegerField()),
                ('direction', models.TextField(choices=[('credit', 'Money in'), ('debit', 'Money out')])),
                ('booked_on', models.DateField()),
                ('valued_on', models.DateField()),
                ('bank_ref', models.TextField(blank=True, default='')),
                ('texts', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('payer', models.TextField(blank=True, default='')),
                ('reference', models.TextField(blank=True, default='')),
                ('digest', models.TextField()),
                ('source', models.TextField()),
                ('file_name', models.TextField()),
                ('file_digest', models.TextField()),
                ('place', models.TextField()),
                ('imported_by', models.TextField()),
                ('imported_at', models.DateTimeField()),
                ('state', models.TextField(choices=[('matched', 'Matched'), ('queued', 'Queued'), ('credited', 'Credited'), ('dismissed', 'Dismissed')])),
                ('queued_for', models.TextField(blank=True, default='')),
                ('customer_id', models.BigIntegerField(null=True)),
                ('wallet_id', models.BigIntegerField(null=True)),
                ('decided_by', models.TextField(blank=True, default='')),
                ('decided_at', models.DateTimeField(null=True)),
                ('decision', models.TextField(blank=True, default='')),
            ],
            options={
                'db_table': 'payments_bank_entry',
                'indexes': [models.Index(fields=['bank_account_id', 'valued_on'], name='payments_bank_entry_day'), models.Index(condition=models.Q(('state__in', ['matched', 'queued'])), fields=['state', 'id'], name='payments_bank_entry_open')],
                'constraints': [models.CheckConstraint(condition=models.Q(('amount_micros__gt', 0)), name='payments_bank_entry_positive'), models.UniqueConstraint(fields=('bank_account_id', 'digest', 'bank_ref', 'file_digest', 'place'), name='payments_bank_entry_place'), models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['matched', 'credited']), _negated=True), models.Q(('customer_id__isnull', False), ('direction', 'credit'), ('wallet_id__isnull', False)), _connector='OR'), name='payments_bank_entry_has_its_wallet')],
            },
        ),
        migrations.CreateModel(
            name='WireReference',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('wallet_id', models.BigIntegerField()),
                ('unit', models.TextField()),
                ('reference', models.TextField()),
                ('method_id', models.BigIntegerField()),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'payments_wire_reference',
                'indexes': [models.Index(fields=['reference'], name='payments_wire_reference_find')],
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'wallet_id'), name='payments_wire_reference_wallet'), models.UniqueConstraint(fields=('customer_id', 'reference'), name='payments_wire_reference_once')],
            },
        ),
        tenant('payments_wire_reference', may='SELECT, INSERT'),
        shared('payments_bank_account'),
        operators('payments_bank_account'),
        operators('payments_bank_entry', may='SELECT, INSERT, UPDATE'),
    ]
