"""The electronic invoice of EN 16931 (UN/CEFACT CII) that a seller in the EU puts inside the PDF (Factur-X).

Field names (BT-…) are the standard's. Amounts are those that the document prints: nothing is computed anew but the split of
the net total over the lines.
"""

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from drafthorse.models.accounting import ApplicableTradeTax
from drafthorse.models.document import Document
from drafthorse.models.note import IncludedNote
from drafthorse.models.party import TaxRegistration, TradeParty
from drafthorse.models.payment import PaymentMeans, PaymentTerms
from drafthorse.models.tradelines import LineItem

from postmeter.invoicing import operations, queries, tax
from postmeter.invoicing.models import Invoice, Kind
from postmeter.kit.money import MICROS, from_minor, to_minor

PROFILE = "urn:cen.eu:en16931:2017"
INVOICE, CREDIT_NOTE = "380", "381"  # UNTDID 1001
ONE = "C62"  # UN/ECE Recommendation 20: one
PAID_BY = "1"  # UNTDID 4461: instrument not defined; the buyer has paid
OUTSIDE = "O"  # of such supplies EN 16931 wants no VAT ids (BR-O-02 ...) and no rate


def is_due(invoice: Invoice) -> bool:
    """Tax invoices and credit notes of a seller in the EU."""
    return invoice.tax["scheme"] == "eu_vat" and invoice.kind != Kind.RECEIPT


def nets(invoice: Invoice) -> list[int]:
    """The lines' amounts without tax in micro-units, whole in the minor unit; they add up to the document's."""
    found, seen, given = [], 0, 0
    for line in invoice.lines:
        seen += line["total_micros"]
        upto = from_minor(to_minor(tax.share(seen, invoice.net_micros, invoice.total_micros), invoice.currency), invoice.currency)
        found.append(upto - given)
        given = upto
    return found


def build(invoice: Invoice, issued: date) -> bytes:
    """The XML. `issued` is the day that the document prints."""
    document = Document()
    document.context.guideline_parameter.id = PROFILE
    document.header.id = operations.number_of(invoice)  # BT-1
    document.header.type_code = CREDIT_NOTE if invoice.kind == Kind.CREDIT_NOTE else INVOICE  # BT-3
    document.header.issue_date_time = issued  # BT-2
    if invoice.reason:
        note = IncludedNote()
        note.content = invoice.reason  # BT-22
        document.header.notes.add(note)
    agreement = document.trade.agreement
    _party(agreement.seller, invoice.seller, tax.vat_id(invoice.seller["tax_id"]), invoice)
    _party(agreement.buyer, invoice.buyer, invoice.buyer.get("vat_id", ""), invoice)
    if invoice.tax["category"] == OUTSIDE:
        agreement.seller.legal_organization.id = ("", invoice.seller["tax_id"])  # BT-30: who it is, without a VAT id
    for position, (line, net) in enumerate(zip(invoice.lines, nets(invoice), strict=True), start=1):
        document.trade.items.add(_line(invoice, position, line, net))
    _supply(document, invoice)
    _settlement(document, invoice)
    return bytes(document.serialize(schema=None))


def _party(party: TradeParty, said: dict[str, str], vat: str, invoice: Invoice) -> None:
    party.name = said["name"]  # BT-27, BT-44
    lines = [*said["address"].splitlines(), "", "", ""]
    party.address.line_one, party.address.line_two = lines[0], lines[1]
    party.address.line_three = ", ".join(line for line in lines[2:] if line)
    party.address.country_id = said["country"]  # BT-40, BT-55
    party.electronic_address.uri_ID = ("EM", said["email"])  # BT-34, BT-49
    if vat and invoice.tax["category"] != OUTSIDE:
        party.tax_registrations.add(TaxRegistration(id=("VA", vat)))  # BT-31, BT-48


def _line(invoice: Invoice, position: int, line: dict[str, object], net: int) -> LineItem:
    item, quantity = LineItem(), Decimal(str(line["quantity"]))
    item.document.line_id = str(position)
    item.product.name = line["description"]  # BT-153
    item.agreement.net.amount = _decimal(net) / quantity  # BT-146
    item.delivery.billed_quantity = (quantity, ONE)  # BT-129
    item.settlement.trade_tax.type_code = "VAT"
    item.settlement.trade_tax.category_code = invoice.tax["category"]  # BT-151
    if invoice.tax["category"] != OUTSIDE:
        item.settlement.trade_tax.rate_applicable_percent = _percent(invoice)  # BT-152
    item.settlement.monetary_summation.total_amount = _decimal(net)  # BT-131
    return item


def _supply(document: Document, invoice: Invoice) -> None:
    if invoice.kind == Kind.USAGE_INVOICE:
        document.trade.settlement.period.start = invoice.supplied_from  # BT-73
        document.trade.settlement.period.end = invoice.supplied_until  # BT-74
    document.trade.delivery.event.occurrence = invoice.supplied_until  # BT-72


def _settlement(document: Document, invoice: Invoice) -> None:
    settlement = document.trade.settlement
    settlement.currency_code = invoice.currency  # BT-5
    settlement.payment_means.add(PaymentMeans(type_code=PAID_BY))  # BT-81
    vat = ApplicableTradeTax()
    vat.calculated_amount = _decimal(invoice.tax_micros)  # BT-117
    vat.type_code = "VAT"
    vat.basis_amount = _decimal(invoice.net_micros)  # BT-116
    vat.category_code = invoice.tax["category"]  # BT-118
    if invoice.tax["words"]:
        vat.exemption_reason = invoice.tax["words"]  # BT-120
        vat.exemption_reason_code = invoice.tax["exemption_code"]  # BT-121
    if invoice.tax["category"] != OUTSIDE:
        vat.rate_applicable_percent = _percent(invoice)  # BT-119
    settlement.trade_tax.add(vat)
    sums, total = settlement.monetary_summation, _decimal(invoice.total_micros)
    sums.line_total = sums.tax_basis_total = _decimal(invoice.net_micros)  # BT-106, BT-109
    sums.tax_total = (_decimal(invoice.tax_micros), invoice.currency)  # BT-110
    local = invoice.tax.get("local_micros")
    if local is not None:
        settlement.tax_currency_code = invoice.tax["currency"]  # BT-6
        sums.tax_total_other_currency.add((_decimal(local), invoice.tax["currency"]))  # BT-111
    sums.grand_total = total  # BT-112
    paid = Decimal("0.00") if invoice.due_on else total
    sums.prepaid_total, sums.due_amount = paid, total - paid  # BT-113, BT-115: what is bought ahead is paid, or given back
    if invoice.due_on:
        settlement.terms.add(PaymentTerms(due=invoice.due_on))  # BT-9
    if invoice.credits_id is not None:
        original = queries.invoice(customer_id=invoice.customer_id, invoice_id=invoice.credits_id)
        settlement.invoice_referenced_document.issuer_assigned_id = operations.number_of(original)  # BT-25
        zone = ZoneInfo(original.buyer["time_zone"])
        settlement.invoice_referenced_document.issue_date_time = original.issued_at.astimezone(zone).date()  # BT-26


def _decimal(micros: int) -> Decimal:
    return (Decimal(micros) / MICROS).quantize(Decimal("0.01"))


def _percent(invoice: Invoice) -> Decimal:
    return Decimal(invoice.tax["rate_ppm"]) / 10_000
