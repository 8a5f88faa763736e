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
            name='TopUp',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('wallet_id', models.BigIntegerField()),
                ('payment_id', models.BigIntegerField()),
                ('amount_micros', models.BigIntegerField()),
                ('unit', models.TextField()),
                ('key', models.UUIDField()),
                ('state', models.TextField(choices=[('pending', 'Pending'), ('succeeded', 'Succeeded'), ('failed', 'Failed')])),
                ('invoice_id', models.BigIntegerField(null=True)),
                ('transfer_id', models.BigIntegerField()),
                ('debt_transfer_id', models.BigIntegerField()),
                ('created_by', models.TextField()),
                ('created_at', models.DateTimeField()),
                ('credited_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'topups_topup',
                'indexes': [models.Index(condition=models.Q(('state', 'pending')), fields=['customer_id', 'wallet_id'], name='topups_topup_pending')],
                'constraints': [models.UniqueConstraint(fields=('customer_id', 'key'), name='topups_topup_key'), models.UniqueConstraint(fields=('customer_id', 'payment_id'), name='topups_topup_payment')],
            },
        ),
        tenant('topups_topup', may='SELECT, INSERT, UPDATE'),
    ]
