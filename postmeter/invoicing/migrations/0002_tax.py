"""Tax by rules with dates, receipts, usage invoices and credit notes."""

from datetime import date

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.expressions import RawSQL

from postmeter.db.roles import roles_of
from postmeter.db.tables import shared

LONG_AGO = date(2021, 1, 1)
# Standard rates of the member states in percent, from the day on which they hold, and the currency of the state.
EU_RATES: dict[str, list[tuple[date, str]]] = {
    "AT": [(LONG_AGO, "20")],
    "BE": [(LONG_AGO, "21")],
    "BG": [(LONG_AGO, "20")],
    "CY": [(LONG_AGO, "19")],
    "CZ": [(LONG_AGO, "21")],
    "DE": [(LONG_AGO, "19")],
    "DK": [(LONG_AGO, "25")],
    "EE": [(LONG_AGO, "20"), (date(2024, 1, 1), "22"), (date(2025, 7, 1), "24")],
    "ES": [(LONG_AGO, "21")],
    "FI": [(LONG_AGO, "24"), (date(2024, 9, 1), "25.5")],
    "FR": [(LONG_AGO, "20")],
    "GR": [(LONG_AGO, "24")],
    "HR": [(LONG_AGO, "25")],
    "HU": [(LONG_AGO, "27")],
    "IE": [(LONG_AGO, "21"), (date(2021, 3, 1), "23")],
    "IT": [(LONG_AGO, "22")],
    "LT": [(LONG_AGO, "21")],
    "LU": [(LONG_AGO, "17"), (date(2023, 1, 1), "16"), (date(2024, 1, 1), "17")],
    "LV": [(LONG_AGO, "21")],
    "MT": [(LONG_AGO, "18")],
    "NL": [(LONG_AGO, "21")],
    "PL": [(LONG_AGO, "23")],
    "PT": [(LONG_AGO, "23")],
    "RO": [(LONG_AGO, "19"), (date(2025, 8, 1), "21")],
    "SE": [(LONG_AGO, "25")],
    "SI": [(LONG_AGO, "22")],
    "SK": [(LONG_AGO, "20"), (date(2025, 1, 1), "23")],
}
CURRENCY = {"CZ": "CZK", "DK": "DKK", "HU": "HUF", "PL": "PLN", "RO": "RON", "SE": "SEK"}
EURO_SINCE = {"BG": ("BGN", date(2026, 1, 1)), "HR": ("HRK", date(2023, 1, 1))}
REVERSE_CHARGE = "Reverse charge: the customer accounts for the VAT (Articles 44 and 196 of Directive 2006/112/EC)."
OUTSIDE_EU = "Not subject to EU VAT: supplied to a customer outside the EU (Articles 44 and 59 of Directive 2006/112/EC)."
EXPORT_AU = "GST-free: supplied to a recipient outside Australia (section 38-190 of the GST Act)."


def ppm(percent: str) -> int:
    whole, _, tenths = percent.partition(".")
    return int(whole) * 10_000 + int(tenths or 0) * 1_000


def rules() -> list[dict[str, object]]:
    au = {"scheme": "au_gst", "buyer": "any", "valid_from": date(2000, 7, 1), "name": "GST"}
    found: list[dict[str, object]] = [
        {**au, "country": "AU", "rate_ppm": 100_000, "category": "S", "currency": "AUD"},
        {**au, "country": "*", "rate_ppm": 0, "category": "G", "words": EXPORT_AU},
    ]
    eu = {"scheme": "eu_vat", "valid_from": LONG_AGO, "name": "VAT"}
    found += [
        {**eu, "country": "EU", "buyer": "business_abroad", "rate_ppm": 0, "category": "AE", "words": REVERSE_CHARGE,
         "exemption_code": "VATEX-EU-AE"},
        {**eu, "country": "*", "buyer": "any", "rate_ppm": 0, "category": "O", "words": OUTSIDE_EU,
         "exemption_code": "VATEX-EU-O"},
    ]
    for country, rates in EU_RATES.items():
        steps = [(day, percent, _currency(country, day)) for day, percent in rates]
        if country in EURO_SINCE:
            steps.append((EURO_SINCE[country][1], rates[-1][1], "EUR"))
        found += [
            {**eu, "country": country, "buyer": "any", "valid_from": day, "rate_ppm": ppm(percent), "category": "S",
             "currency": currency}
            for day, percent, currency in steps
        ]
    return found


def _currency(country: str, day: date) -> str:
    before, since = EURO_SINCE.get(country, ("EUR", LONG_AGO))
    return CURRENCY.get(country) or ("EUR" if day >= since else before)


def seed(apps, editor) -> None:
    rule = apps.get_model("invoicing", "TaxRule")
    for values in rules():
        rule.objects.create(**values)
    # A seller from before keeps the tax that it charged.
    for seller in apps.get_model("invoicing", "Seller").objects.exclude(tax_name=""):
        if seller.country == "AU":
            seller.tax_scheme = "au_gst"
        elif seller.country in EU_RATES:
            seller.tax_scheme = "eu_vat"
        else:
            seller.tax_scheme = "flat"
            rule.objects.create(scheme="flat", country="*", buyer="any", valid_from=LONG_AGO, rate_ppm=seller.tax_rate_ppm,
                                category="S", name=seller.tax_name)
        seller.save(update_fields=["tax_scheme"])


def may_be_set(apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    """The operator's commands set seller, rules and rates up; pages and API only read them."""
    every = roles_of(str(editor.connection.settings_dict["NAME"])).every
    for table in ("invoicing_seller", "invoicing_tax_rule", "invoicing_exchange_rate"):
        editor.execute(f'GRANT INSERT, UPDATE ON {table} TO "{every}"')


# Documents from before say their tax in the copy of the seller. The words stay; they get the place where new ones have them.
BACKFILL = """
ALTER TABLE invoicing_invoice DISABLE TRIGGER immutable;
UPDATE invoicing_invoice SET tax = jsonb_build_object(
    'scheme', CASE WHEN seller->>'tax_name' = '' THEN 'none' WHEN seller->>'country' = 'AU' THEN 'au_gst' ELSE 'flat' END,
    'name', seller->>'tax_name', 'rate_ppm', (seller->>'tax_rate_ppm')::int,
    'category', CASE WHEN seller->>'tax_name' = '' THEN '' ELSE 'S' END, 'country', seller->>'country',
    'currency', '', 'words', '', 'exemption_code', '') WHERE seller ? 'tax_name';
ALTER TABLE invoicing_invoice ENABLE TRIGGER immutable;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('invoicing', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='ExchangeRate',
            fields=[
                ('id', models.BigIntegerField(db_default=RawSQL('next_id()', []), primary_key=True, serialize=False)),
                ('currency', models.CharField(max_length=3)),
                ('day', models.DateField()),
                ('per_euro_micros', models.BigIntegerField()),
            ],
            options={
                'db_table': 'invoicing_exchange_rate',
                'constraints': [models.UniqueConstraint(fields=('currency', 'day'), name='invoicing_exchange_rate_once'), models.CheckConstraint(condition=models.Q(('per_euro_micros__gt', 0)), name='invoicing_exchange_rate_positive')],
            },
        ),
        migrations.CreateModel(
            name='TaxRule',
            fields=[
                ('id', models.BigIntegerField(db_default=RawSQL('next_id()', []), primary_key=True, serialize=False)),
                ('scheme', models.TextField()),
                ('country', models.TextField()),
                ('buyer', models.TextField(choices=[('any', 'Anybody'), ('business_abroad', 'With a VAT id of another member state')])),
                ('valid_from', models.DateField()),
                ('rate_ppm', models.IntegerField()),
                ('category', models.CharField(max_length=2)),
                ('name', models.TextField()),
                ('currency', models.TextField(blank=True, default='')),
                ('words', models.TextField(blank=True, default='')),
                ('exemption_code', models.TextField(blank=True, default='')),
            ],
            options={
                'db_table': 'invoicing_tax_rule',
                'constraints': [models.UniqueConstraint(fields=('scheme', 'country', 'buyer', 'valid_from'), name='invoicing_tax_rule_once'), models.CheckConstraint(condition=models.Q(('rate_ppm__gte', 0), ('rate_ppm__lt', 1000000)), name='invoicing_tax_rule_rate')],
            },
        ),
        shared('invoicing_tax_rule'),
        shared('invoicing_exchange_rate'),
        migrations.AddField(
            model_name='seller',
            name='tax_point',
            field=models.TextField(choices=[('purchase', 'At purchase'), ('use', 'At use')], default='purchase'),
        ),
        migrations.AddField(
            model_name='seller',
            name='tax_scheme',
            field=models.TextField(default='none'),
        ),
        migrations.RunPython(seed, migrations.RunPython.noop),
        migrations.RunPython(may_be_set, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name='seller',
            name='tax_name',
        ),
        migrations.RemoveField(
            model_name='seller',
            name='tax_rate_ppm',
        ),
        migrations.AddField(
            model_name='invoice',
            name='credits_id',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='reason',
            field=models.TextField(blank=True, default=''),
        ),
        migrations.AddField(
            model_name='invoice',
            name='supplied_from',
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='supplied_until',
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='tax',
            field=models.JSONField(default=dict),
        ),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='invoice',
            name='kind',
            field=models.TextField(choices=[('invoice', 'Invoice'), ('receipt', 'Payment receipt'), ('usage_invoice', "Invoice of a month's use"), ('credit_note', 'Credit note')]),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(condition=models.Q(('credits_id__isnull', False)), fields=['customer_id', 'credits_id'], name='invoicing_invoice_credited'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('credits_id__isnull', False), ('kind', 'credit_note'), ('total_micros__gt', 0)), models.Q(models.Q(('kind', 'credit_note'), _negated=True), ('credits_id', None)), _connector='OR'), name='invoicing_invoice_credits'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'receipt'), _negated=True), ('tax_micros', 0), _connector='OR'), name='invoicing_receipt_without_tax'),
        ),
    ]
