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
            name='MethodSetup',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('gateway', models.TextField()),
                ('session_ref', models.TextField(blank=True, default='')),
                ('method_id', models.BigIntegerField(null=True)),
                ('created_by', models.TextField()),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'payments_method_setup',
            },
        ),
        migrations.CreateModel(
            name='GatewayCustomer',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('gateway', models.TextField()),
                ('ref', models.TextField()),
            ],
            options={
                'db_table': 'payments_gateway_customer',
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'gateway'), name='payments_gateway_customer_once')],
            },
        ),
        migrations.CreateModel(
            name='Payment',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('method_id', models.BigIntegerField()),
                ('gateway', models.TextField()),
                ('purpose', models.TextField()),
                ('subject_id', models.BigIntegerField()),
                ('amount_micros', models.BigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('state', models.TextField(choices=[('created', 'created'), ('calling', 'calling'), ('processing', 'processing'), ('requires_action', 'requires_action'), ('unknown', 'unknown'), ('succeeded', 'succeeded'), ('declined', 'declined'), ('cancelled', 'cancelled')])),
                ('gateway_ref', models.TextField(blank=True, default='')),
                ('action_url', models.TextField(blank=True, default='')),
                ('failure_code', models.TextField(blank=True, default='')),
                ('failure_text', models.TextField(blank=True, default='')),
                ('created_by', models.TextField()),
                ('created_at', models.DateTimeField()),
                ('changed_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'payments_payment',
                'indexes': [models.Index(condition=models.Q(('state__in', ['created', 'calling', 'processing', 'requires_action', 'unknown'])), fields=['customer_id', 'changed_at'], name='payments_payment_open')],
                'constraints': [models.CheckConstraint(condition=models.Q(('amount_micros__gt', 0)), name='payments_payment_positive'), models.UniqueConstraint(condition=models.Q(('gateway_ref', ''), _negated=True), fields=('customer_id', 'gateway', 'gateway_ref'), name='payments_payment_ref')],
            },
        ),
        migrations.CreateModel(
            name='PaymentMethod',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('gateway', models.TextField()),
                ('kind', models.TextField(default='card')),
                ('token', models.TextField()),
                ('brand', models.TextField()),
                ('last4', models.CharField(max_length=4)),
                ('expires_year', models.IntegerField()),
                ('expires_month', models.IntegerField()),
                ('position', models.IntegerField()),
                ('auto_charge', models.BooleanField()),
                ('created_at', models.DateTimeField()),
                ('removed_at', models.DateTimeField(null=True)),
                ('cooling_until', models.DateTimeField(null=True)),
                ('needs_person', models.BooleanField(default=False)),
                ('failure_code', models.TextField(blank=True, default='')),
                ('failure_text', models.TextField(blank=True, default='')),
                ('failed_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'payments_method',
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'gateway', 'token'), name='payments_method_once'), models.CheckConstraint(condition=models.Q(('needs_person', False), ('cooling_until', None), _connector='OR'), name='payments_method_one_ailment'), models.CheckConstraint(condition=models.Q(models.Q(('failed_at__isnull', False), ('failure_code__gt', '')), models.Q(('cooling_until', None), ('failed_at', None), ('failure_code', ''), ('needs_person', False)), _connector='OR'), name='payments_method_has_its_reason')],
            },
        ),
        tenant('payments_gateway_customer', may='SELECT, INSERT'),
        tenant('payments_method_setup', may='SELECT, INSERT, UPDATE'),
        tenant('payments_method', may='SELECT, INSERT, UPDATE'),
        tenant('payments_payment', may='SELECT, INSERT, UPDATE'),
    ]
