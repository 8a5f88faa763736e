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
            name='PriceList',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('name', models.TextField()),
                ('plan', models.TextField()),
                ('currency', models.CharField(max_length=3)),
                ('payable', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'rating_price_list',
            },
        ),
        migrations.CreateModel(
            name='Rate',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('price_list_id', models.BigIntegerField()),
                ('channel', models.TextField()),
                ('direction', models.TextField(choices=[('out', 'Outbound'), ('in', 'Inbound')])),
                ('prefix', models.TextField()),
                ('country', models.TextField()),
                ('price_micros', models.BigIntegerField()),
                ('fee_micros', models.BigIntegerField()),
                ('valid_from', models.DateTimeField()),
                ('valid_until', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'rating_rate',
                'indexes': [models.Index(fields=['customer_id', 'price_list_id', 'channel', 'direction'], name='rating_rate_list')],
                'constraints': [models.CheckConstraint(condition=models.Q(('fee_micros__gte', 0), ('price_micros__gte', 0)), name='rating_rate_not_negative'), models.CheckConstraint(condition=models.Q(('valid_until', None), ('valid_until__gt', models.F('valid_from')), _connector='OR'), name='rating_rate_dates'), models.UniqueConstraint(fields=('customer_id', 'price_list_id', 'channel', 'direction', 'prefix', 'valid_from'), name='rating_rate_once')],
            },
        ),
        tenant('rating_price_list', may='SELECT, INSERT', or_when='customer_id = 0'),
        tenant('rating_rate', may='SELECT, INSERT, UPDATE', or_when='customer_id = 0'),
    ]
