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
            name='Wallet',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('kind', models.TextField(choices=[('pool', 'System Credits'), ('user', 'User Credits'), ('sandbox', 'Sandbox')])),
                ('unit', models.TextField()),
                ('member_id', models.BigIntegerField(default=0)),
                ('account_id', models.BigIntegerField()),
                ('receivable_id', models.BigIntegerField()),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'wallets_wallet',
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'kind', 'unit', 'member_id'), name='wallets_wallet_once')],
            },
        ),
        tenant('wallets_wallet', may='SELECT, INSERT'),
    ]
