import django.db.models.expressions
from django.db import migrations, models

from postmeter.db.tables import APPEND, immutable, tenant


class Migration(migrations.Migration):

    dependencies = [
        ('messaging', '0009_fax'),
    ]

    operations = [
        migrations.CreateModel(
            name='Call',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('provider', models.TextField()),
                ('provider_ref', models.TextField()),
                ('answered_at', models.DateTimeField()),
                ('machine', models.BooleanField()),
                ('spoken', models.BooleanField()),
                ('pressed', models.TextField(blank=True, default='')),
                ('held_seconds', models.IntegerField()),
                ('told_seconds', models.IntegerField()),
                ('talk_id', models.BigIntegerField(default=0)),
                ('ends', models.BooleanField(default=False)),
                ('warned', models.BooleanField(default=False)),
                ('over', models.BooleanField(default=False)),
            ],
            options={
                'db_table': 'messaging_call',
                'indexes': [models.Index(condition=models.Q(('over', False)), fields=['customer_id'], name='messaging_call_on')],
            },
        ),
        migrations.CreateModel(
            name='CallSetting',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('language', models.TextField()),
                ('voice', models.TextField()),
                ('machines', models.TextField()),
                ('responses', models.BooleanField()),
                ('confirms', models.BooleanField()),
                ('cancels', models.BooleanField()),
                ('talk_number', models.TextField(blank=True, default='')),
                ('talk_minutes', models.SmallIntegerField()),
                ('keys', models.JSONField()),
                ('changed_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'messaging_call_setting',
                'constraints': [models.UniqueConstraint(fields=('customer_id',), name='messaging_call_setting_once')],
            },
        ),
        migrations.CreateModel(
            name='Extension',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('id', models.BigIntegerField(db_default=django.db.models.expressions.RawSQL('next_id()', []))),
                ('message_id', models.BigIntegerField()),
                ('minutes', models.SmallIntegerField()),
                ('amount_micros', models.BigIntegerField()),
                ('held', models.BooleanField()),
                ('at', models.DateTimeField()),
            ],
            options={
                'db_table': 'messaging_extension',
                'indexes': [models.Index(fields=['customer_id', 'message_id'], name='messaging_extension_message')],
            },
        ),
        tenant('messaging_call'),
        tenant('messaging_extension', may=APPEND),
        immutable('messaging_extension'),
        tenant('messaging_call_setting'),
    ]
