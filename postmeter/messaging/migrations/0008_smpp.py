import django.db.models.expressions
from django.db import migrations, models

from postmeter.db.tables import operators, tenant

# By each id of a message whose parts a message centre named: only its own messages are in it.
BY_REF = """CREATE INDEX messaging_message_smpp ON messaging_message USING gin (string_to_array(provider_ref, ','))
    WHERE provider = 'smpp' AND provider_ref <> ''"""


class Migration(migrations.Migration):

    dependencies = [
        ('messaging', "0007_mms"),
    ]

    operations = [
        migrations.CreateModel(
            name='InboundPart',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('sender', models.TextField()),
                ('recipient', models.TextField()),
                ('reference', models.IntegerField()),
                ('parts', models.SmallIntegerField()),
                ('position', models.SmallIntegerField()),
                ('encoding', models.TextField()),
                ('octets_sealed', models.TextField(db_column='octets')),
                ('joined', models.BooleanField(db_default=False, default=False)),
                ('at', models.DateTimeField()),
            ],
            options={
                'db_table': 'messaging_inbound_part',
                'indexes': [models.Index(fields=['customer_id', 'sender', 'recipient', 'reference'], name='messaging_inbound_part_text'), models.Index(condition=models.Q(('joined', False)), fields=['at'], name='messaging_inbound_part_waits'), models.Index(condition=models.Q(('joined', True)), fields=['at'], name='messaging_inbound_part_done')],
            },
        ),
        migrations.CreateModel(
            name='Unplaced',
            fields=[
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []), primary_key=True, serialize=False)),
                ('provider', models.TextField()),
                ('ref', models.TextField()),
                ('word', models.TextField()),
                ('recipient', models.TextField()),
                ('sender', models.TextField()),
                ('said', models.JSONField()),
                ('at', models.DateTimeField()),
            ],
            options={
                'db_table': 'messaging_unplaced',
                'indexes': [models.Index(fields=['recipient'], name='messaging_unplaced_recipient')],
                'constraints': [models.UniqueConstraint(fields=('provider', 'ref', 'word'), name='messaging_unplaced_once')],
            },
        ),
        migrations.RunSQL(BY_REF, 'DROP INDEX messaging_message_smpp'),
        tenant('messaging_inbound_part'),
        operators('messaging_unplaced'),
    ]
