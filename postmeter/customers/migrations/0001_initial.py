import django.contrib.postgres.fields
import django.db.models.expressions
from django.db import migrations, models

from postmeter.db.tables import shared, tenant


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('db', '0001_ids_and_partitions'),
    ]

    operations = [
        migrations.RunSQL('CREATE SEQUENCE customers_number AS bigint START 1001', 'DROP SEQUENCE customers_number'),
        migrations.CreateModel(
            name='User',
            fields=[
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []), primary_key=True, serialize=False)),
                ('email', models.EmailField(max_length=254, unique=True)),
                ('name', models.TextField(blank=True, default='')),
                ('is_active', models.BooleanField(default=True)),
                ('is_account_manager', models.BooleanField(default=False)),
                ('joined_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'db_table': 'customers_user',
            },
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('name', models.TextField()),
                ('mode', models.TextField(choices=[('live', 'Live'), ('test', 'Test')])),
                ('secret_hash', models.BinaryField()),
                ('hint', models.TextField()),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('created_by', models.TextField()),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(null=True)),
                ('last_used_at', models.DateTimeField(null=True)),
                ('revoked_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'customers_api_key',
            },
        ),
        migrations.CreateModel(
            name='SenderNumber',
            fields=[
                ('number', models.TextField(primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
            ],
            options={'db_table': 'customers_sender_number'},
        ),
        migrations.CreateModel(
            name='Customer',
            fields=[
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []), primary_key=True, serialize=False)),
                ('number', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL("nextval('customers_number')", []), unique=True)),
                ('name', models.TextField()),
                ('email', models.EmailField(max_length=254)),
                ('address', models.TextField(blank=True, default='')),
                ('tax_id', models.TextField(blank=True, default='')),
                ('country', models.CharField(max_length=2)),
                ('time_zone', models.TextField()),
                ('currency', models.CharField(max_length=3)),
                ('plan', models.TextField(default='standard')),
                ('sender', models.TextField()),
                ('messaging_enabled', models.BooleanField(default=True)),
                ('suspended_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'customers_customer',
            },
        ),
        migrations.CreateModel(
            name='Member',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('user_id', models.BigIntegerField()),
                ('roles', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(choices=[('master', 'Master'), ('billing_admin', 'Billing admin'), ('office_manager', 'Office manager'), ('sender', 'Sender')]), size=None)),
                ('created_at', models.DateTimeField()),
                ('left_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'customers_member',
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'user_id'), name='customers_member_once')],
            },
        ),
        shared('customers_user', may='SELECT, INSERT, UPDATE'),
        shared('customers_sender_number', may='SELECT, INSERT'),
        tenant('customers_customer', key='id', may='SELECT, INSERT, UPDATE'),
        tenant('customers_member', may='SELECT, INSERT, UPDATE',
               or_when="user_id = (SELECT nullif(current_setting('app.user', true), '')::bigint)"),
        tenant('customers_api_key', may='SELECT, INSERT, UPDATE'),
    ]
