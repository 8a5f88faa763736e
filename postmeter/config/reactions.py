"""Which facts wake which jobs: one table.

A kind that is recorded and wakes nothing stands here too, with no jobs: a house test checks that every recorded kind is
listed, so that nobody has to search whether a fact is heard.
"""

from postmeter.invoicing import tasks as invoicing
from postmeter.notifications import tasks as notifications
from postmeter.statements import tasks as statements
from postmeter.topups import tasks as topups

REACTIONS = {
    "invoice.issued": [invoicing.mail_invoice],
    "api_key.created": [],
    "api_key.revoked": [],
    "alerts.changed": [],
    "automation.capped": [notifications.tell_of_automation],
    "automation.changed": [topups.react],
    "automation.failed": [notifications.tell_of_automation],
    "automation.paused": [notifications.tell_of_automation],
    "batch.stopped": [],
    "bill.issued": [],
    "bill.settled": [],
    "consent.opted_in": [],
    "consent.opted_out": [],
    "customer.created": [],
    "customer.details_changed": [],
    "customer.messaging_switched": [],
    "invoice.mailed": [],
    "member.added": [],
    "member.left": [],
    "member.roles_changed": [],
    "message.cancelled": [],
    "message.received": [],
    "messages.ended": [],
    "messages.resumed": [],
    "notice.made": [notifications.mail_notice],
    "payment.cancelled": [],
    "payment.declined": [],
    "payment.mismatch": [],
    "payment.processing": [],
    "payment.requires_action": [],
    "payment.succeeded": [],
    "payment.unknown": [],
    "payment_method.added": [],
    "payment_method.auto_charge_switched": [],
    "payment_method.cooled": [],
    "payment_method.removed": [],
    "payment_method.reordered": [],
    "payment_method.restored": [],
    "price_list.changed": [],
    "price_list.created": [],
    "quote.made": [],
    "statement.closed": [statements.mail_statement],
    "statement.mailed": [],
    "top_up.failed": [topups.follow],
    "top_up.reversed": [notifications.tell_of_reversal],
    "top_up.started": [],
    "top_up.succeeded": [topups.follow, notifications.look_after_top_up],
    "wallet.fell": [topups.react, notifications.look],
    "wallet.limit_changed": [],
    "wallet.opened": [notifications.open_alerts],
    "wire.credited": [],
}
