"""Addresses of the pages. Names are what `context.NAVIGATION` and templates use."""

from django.conf import settings as django_settings
from django.urls import path
from django.views.generic import RedirectView

from postmeter.web import addresses
from postmeter.web.style import style
from postmeter.web.theme import choose_theme
from postmeter.web.views import (
    accounts,
    alerts,
    automation,
    bank_transfer,
    credit,
    details,
    groups,
    invoices,
    keys,
    members,
    messages,
    overview,
    payments,
    prices,
    retry,
    send,
    settings,
    statement,
    terms,
    webhooks,
)

addresses.register()

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("customers/choose/", overview.choose_customer, name="choose-customer"),
    path("send/", send.compose, name="send"),
    path("send/preview/", send.preview, name="send-preview"),
    path("send/list/", send.upload, name="send-list"),
    path("send/list/<UP:upload_id>/", send.columns, name="columns"),
    path("send/list/<UP:upload_id>/preview/", send.columns_preview, name="columns-preview"),
    path("send/quotes/<QU:quote_id>/", send.quote, name="quote"),
    path("send/quotes/<QU:quote_id>/send/", send.send, name="quote-send"),
    path("send/quotes/<QU:quote_id>/again/", send.quote_again, name="quote-again"),
    path("send/quotes/<QU:quote_id>/not-sent.csv", send.excluded_csv, name="quote-excluded"),
    path("batches/<BA:batch_id>/", send.batch, name="batch"),
    path("batches/<BA:batch_id>/progress/", send.batch_progress, name="batch-progress"),
    path("batches/<BA:batch_id>/stop/", send.stop, name="batch-stop"),
    path("messages/", messages.messages, name="messages"),
    path("messages/messages.csv", messages.messages_csv, name="messages-csv"),
    path("messages/<SM:message_id>/", messages.trail, name="trail"),
    path("messages/<SM:message_id>/cancel/", messages.cancel_message, name="message-cancel"),
    path("theme/", choose_theme, name="theme"),
]
urlpatterns += [  # credit
    path("credit/", credit.credit, name="credit"),
    path("credit/top-up/", credit.top_up, name="top-up"),
    path("credit/top-up/confirm/", credit.confirm_top_up, name="top-up-confirm"),
    path("credit/top-ups/<TU:top_up_id>/", credit.top_up_result, name="top-up-result"),
    path("credit/top-ups/<TU:top_up_id>/give-up/", credit.give_up_top_up, name="top-up-give-up"),
    path("credit/top-ups/<TU:top_up_id>/retry/", retry.retry, name="top-up-retry"),
    path("credit/confirm/<str:token>/", retry.confirm, name="top-up-confirm-link"),
    path("credit/bank-transfer/", bank_transfer.bank_transfer, name="bank-transfer"),
    path("credit/automatic/", automation.automatic, name="automatic"),
    path("credit/alerts/", alerts.alerts, name="alerts"),
    path("credit/accounts/", accounts.manage, name="accounts"),
    # Where people who come from other products look for it (S-128).
    path("billing/", RedirectView.as_view(pattern_name="payments")),
    path("payment-methods/", RedirectView.as_view(pattern_name="payments")),
    path("credit/accounts/approval/", accounts.approval_limit, name="accounts-approval"),
    path("credit/accounts/waiting/<TA:request_id>/", accounts.decide_transfer, name="transfer-decide"),
    path("credit/accounts/programs/", accounts.programs, name="accounts-programs"),
    path("credit/accounts/<WA:wallet_id>/log/", statement.account_log, name="account-log"),
    path("credit/accounts/<WA:wallet_id>/allowance/", accounts.allowance, name="account-allowance"),
    path("credit/accounts/<WA:wallet_id>/reclaim/", accounts.reclaim, name="account-reclaim"),
    path("credit/methods/", payments.own_methods, name="own-methods"),
    path("credit/transfer/", accounts.transfer, name="transfer"),
    path("credit/terms/", terms.terms, name="terms"),
    path("credit/bills/<BI:bill_id>/", terms.bill, name="bill"),
    path("credit/requests/<CR:request_id>/withdraw/", terms.withdraw, name="request-withdraw"),
    path("credit/statement/", statement.statement, name="statement"),
    path("credit/statement.csv", statement.statement_csv, name="statement-csv"),
    path("credit/statement/<str:month>.pdf", statement.month_pdf, name="month-pdf"),
    path("credit/statement/<str:month>.csv", statement.month_csv, name="month-csv"),
    path("payments/", payments.payments, name="payments"),
    path("payments/cards/add/", payments.add_card, name="card-add"),
    path("payments/cards/cancelled/", payments.card_cancelled, name="card-cancelled"),
    path("payments/cards/<CS:setup_id>/done/", payments.card_done, name="card-done"),
    path("payments/order/", payments.arrange, name="cards-arrange"),
    path("payments/cards/<PM:method_id>/auto-charge/", payments.auto_charge, name="card-auto-charge"),
    path("payments/cards/<PM:method_id>/move/", payments.move, name="card-move"),
    path("payments/cards/<PM:method_id>/remove/", payments.remove_card, name="card-remove"),
    path("invoices/", invoices.invoices, name="invoices"),
    path("invoices/<IN:invoice_id>/", invoices.invoice, name="invoice"),
    path("invoices/<IN:invoice_id>/pdf/", invoices.invoice_pdf, name="invoice-pdf"),
    path("invoices/pdf/<str:token>/", invoices.linked_pdf, name="invoice-linked-pdf"),
    path("prices/", prices.prices, name="prices"),
]
urlpatterns += [  # settings
    path("settings/me/", details.details, name="details"),
    path("settings/invoices/", settings.billing_details, name="billing-details"),
    path("settings/messaging/", settings.messaging, name="messaging-settings"),
    path("settings/keys/", keys.keys, name="keys"),
    path("settings/keys/new/", keys.create_key, name="key-new"),
    path("settings/keys/<KE:key_id>/rotate/", keys.rotate_key, name="key-rotate"),
    path("settings/keys/<KE:key_id>/revoke/", keys.revoke_key, name="key-revoke"),
    path("settings/webhooks/", webhooks.webhooks, name="webhooks"),
    path("settings/webhooks/<WE:endpoint_id>/", webhooks.webhook, name="webhook"),
    path("settings/webhooks/<WE:endpoint_id>/<WD:delivery_id>/again/", webhooks.send_again, name="webhook-again"),
    path("settings/members/", members.members, name="members"),
    path("settings/members/new/", members.invite_member, name="member-new"),
    path("settings/groups/", groups.groups, name="groups"),
    path("settings/groups/<GR:group_id>/", groups.group, name="group"),
    path("settings/members/<MB:member_id>/", members.change_roles, name="member-roles"),
    path("settings/members/<MB:member_id>/remove/", members.remove_member, name="member-remove"),
]
if django_settings.DEBUG:
    urlpatterns += [path("style/", style, name="style")]
