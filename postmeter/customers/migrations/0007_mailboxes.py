from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0006_opt_in"),
    ]

    operations = [
        migrations.RunSQL(
            """INSERT INTO customers_sender_number (number, customer_id)
               SELECT 'mailbox:' || number, id FROM customers_customer ON CONFLICT DO NOTHING""",
            "DELETE FROM customers_sender_number WHERE number LIKE 'mailbox:%'",
        ),
    ]
