"""Addresses of the operator's pages. Names are what `context.CONSOLE_NAVIGATION` and templates use."""

from django.urls import path

from postmeter.web import addresses
from postmeter.web.operator import costs, customers, limits, money, prices, refunds, terms, waiting, wires
from postmeter.web.theme import choose_theme

addresses.register()

urlpatterns = [
    path("", waiting.home, name="console"),
    path("log/", waiting.log, name="console-log"),
    path("customers/", customers.customers, name="console-customers"),
    path("customers/new/", customers.new, name="console-customer-new"),
    path("customers/<CU:customer_id>/", customers.customer, name="console-customer"),
    path("customers/<CU:customer_id>/plan/", customers.set_plan, name="console-plan"),
    path("customers/<CU:customer_id>/automation/<WA:wallet_id>/", customers.start_again, name="console-start-again"),
    path("customers/<CU:customer_id>/invoices/<IN:invoice_id>/", customers.invoice_pdf, name="console-invoice"),
    path("customers/<CU:customer_id>/terms/", terms.terms, name="console-terms"),
    path("customers/<CU:customer_id>/suspend/", terms.suspend, name="console-suspend"),
    path("customers/<CU:customer_id>/limits/", limits.limits, name="console-limits"),
    path("customers/<CU:customer_id>/lift/", limits.lift, name="console-lift"),
    path("customers/<CU:customer_id>/credit/", terms.move, name="console-move"),
    path("customers/<CU:customer_id>/adjustments/<AD:adjustment_id>/", terms.decide_adjustment, name="console-adjustment"),
    path("customers/<CU:customer_id>/requests/<CR:request_id>/", terms.change, name="console-request"),
    path("customers/<CU:customer_id>/refund/<TU:top_up_id>/", refunds.refund, name="console-refund"),
    path("customers/<CU:customer_id>/bills/<BI:bill_id>/", terms.settle_bill, name="console-bill"),
    path("wires/", wires.wires, name="console-wires"),
    path("wires/<int:entry_id>/", wires.decide, name="console-wire"),
    path("costs/", costs.costs, name="console-costs"),
    path("costs/<slug:provider>/<slug:day>/", costs.day, name="console-costs-day"),
    path("money/", money.money, name="console-money"),
    path("money/breaker/", money.switch, name="console-breaker"),
    path("money/<CU:customer_id>/<PY:payment_id>/ask/", money.ask, name="console-ask"),
    path("invoices/", money.invoices, name="console-invoices"),
    path("prices/", prices.prices, name="console-prices"),
    path("prices/new/", prices.upload, name="console-prices-new"),
    path("prices/packs/", prices.packs, name="console-packs"),
    path("theme/", choose_theme, name="theme"),
]
