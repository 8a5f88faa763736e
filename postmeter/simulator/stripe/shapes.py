"""Stripe's resources with all their fields, as a new one looks. What differs from one to the next is the caller's."""

from typing import Any

NO_ADDRESS = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}
NOBODY: dict[str, Any] = {"address": NO_ADDRESS, "email": None, "name": None, "phone": None, "tax_id": None}
ONE_MINUTE = 60
ONE_DAY = 86400


def _nones(*names: str) -> dict[str, None]:
    return dict.fromkeys(names)


def customer(object_id: str, created: int, **facts: Any) -> dict[str, Any]:
    return {
        "id": object_id,
        "object": "customer",
        "balance": 0,
        "created": created,
        **_nones(
            "address", "currency", "default_source", "description", "discount", "email", "name", "phone", "shipping", "test_clock"
        ),
        "delinquent": False,
        "invoice_prefix": object_id[-7:].upper(),
        "invoice_settings": _nones("custom_fields", "default_payment_method", "footer", "rendering_options"),
        "livemode": False,
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
        **facts,
    }


def card_details(brand: str, last4: str, fingerprint: str, month: int, year: int) -> dict[str, Any]:
    return {
        "brand": brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": brand,
        "exp_month": month,
        "exp_year": year,
        "fingerprint": fingerprint,
        "funding": "credit",
        "generated_from": None,
        "last4": last4,
        "networks": {"available": [brand], "preferred": None},
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
        "regulated_status": None,
    }


def bank_details(last4: str, fingerprint: str) -> dict[str, Any]:
    return {
        "account_holder_type": "company",
        "account_type": "checking",
        "bank_name": "SIMULATED BANK",
        "financial_connections_account": None,
        "fingerprint": fingerprint,
        "last4": last4,
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }


def payment_method(object_id: str, created: int, kind: str, details: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return {
        "id": object_id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": NOBODY,
        kind: details,
        "created": created,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": kind,
        **facts,
    }


def checkout_session(object_id: str, created: int, **facts: Any) -> dict[str, Any]:
    return {
        "id": object_id,
        "object": "checkout.session",
        **_nones(
            *(
                "after_expiration",
                "allow_promotion_codes",
                "amount_subtotal",
                "amount_total",
                "billing_address_collection",
                "cancel_url",
            ),
            *("client_reference_id", "client_secret", "collected_information", "consent", "consent_collection", "currency"),
            *("currency_conversion", "customer", "customer_account", "customer_creation", "customer_details", "customer_email"),
            *("discounts", "integration_identifier", "invoice", "invoice_creation", "locale", "origin_context", "payment_intent"),
            *(
                "payment_link",
                "payment_method_collection",
                "payment_method_configuration_details",
                "permissions",
                "recovered_from",
            ),
            *("saved_payment_method_options", "setup_intent", "shipping_address_collection", "shipping_cost", "submit_type"),
            *("subscription", "success_url", "total_details", "ui_mode", "url", "wallet_options", "managed_payments"),
        ),
        "adaptive_pricing": None,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "created": created,
        "custom_fields": [],
        "custom_text": _nones("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"),
        "expires_at": created + ONE_DAY,
        "livemode": False,
        "metadata": {},
        "mode": "setup",
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": "no_payment_required",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        **facts,
    }


def setup_intent(object_id: str, created: int, **facts: Any) -> dict[str, Any]:
    return {
        "id": object_id,
        "object": "setup_intent",
        **_nones(
            *(
                "application",
                "automatic_payment_methods",
                "cancellation_reason",
                "customer",
                "description",
                "excluded_payment_method_types",
            ),
            *(
                "flow_directions",
                "last_setup_error",
                "latest_attempt",
                "mandate",
                "next_action",
                "on_behalf_of",
                "payment_method",
            ),
            *("payment_method_configuration_details", "single_use_mandate"),
        ),
        "client_secret": f"{object_id}_secret_{object_id[::-1][:24]}",
        "created": created,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
        **facts,
    }


def payment_intent(object_id: str, created: int, **facts: Any) -> dict[str, Any]:
    return {
        "id": object_id,
        "object": "payment_intent",
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        **_nones(
            *(
                "application",
                "application_fee_amount",
                "automatic_payment_methods",
                "canceled_at",
                "cancellation_reason",
                "customer",
            ),
            *(
                "customer_account",
                "description",
                "excluded_payment_method_types",
                "last_payment_error",
                "latest_charge",
                "managed_payments",
            ),
            *(
                "next_action",
                "on_behalf_of",
                "payment_method",
                "payment_method_configuration_details",
                "processing",
                "receipt_email",
            ),
            *("review", "setup_future_usage", "shipping", "source", "statement_descriptor", "statement_descriptor_suffix"),
            *("transfer_data", "transfer_group"),
        ),
        "capture_method": "automatic",
        "client_secret": f"{object_id}_secret_{object_id[::-1][:24]}",
        "confirmation_method": "automatic",
        "created": created,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        **facts,
    }


def charge(object_id: str, created: int, **facts: Any) -> dict[str, Any]:
    return {
        "id": object_id,
        "object": "charge",
        "amount_refunded": 0,
        **_nones(
            *("application", "application_fee", "application_fee_amount", "balance_transaction", "customer", "description"),
            *(
                "failure_balance_transaction",
                "failure_code",
                "failure_message",
                "on_behalf_of",
                "receipt_email",
                "receipt_number",
            ),
            *(
                "receipt_url",
                "review",
                "shipping",
                "source",
                "source_transfer",
                "statement_descriptor",
                "statement_descriptor_suffix",
            ),
            *("transfer_data", "transfer_group"),
        ),
        "billing_details": NOBODY,
        "calculated_statement_descriptor": "POSTMETER SIMULATOR",
        "created": created,
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "refunded": False,
        "refunds": {"object": "list", "data": [], "has_more": False, "url": f"/v1/charges/{object_id}/refunds"},
        **facts,
    }


def charged_card(card: dict[str, Any], amount: int) -> dict[str, Any]:
    """A charge's `payment_method_details` for a card."""
    shared = (
        "brand",
        "checks",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "wallet",
        "regulated_status",
    )
    return {
        "type": "card",
        "card": {
            **{name: card[name] for name in shared},
            "amount_authorized": amount,
            "extended_authorization": {"status": "disabled"},
            "incremental_authorization": {"status": "unavailable"},
            "multicapture": {"status": "unavailable"},
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "network": card["brand"],
            "network_token": {"used": False},
            **_nones(
                "authorization_code", "installments", "mandate", "network_transaction_id", "three_d_secure", "transaction_link_id"
            ),
        },
    }


def refund(object_id: str, created: int, **facts: Any) -> dict[str, Any]:
    return {
        "id": object_id,
        "object": "refund",
        **_nones(
            *(
                "balance_transaction",
                "customer",
                "customer_account",
                "payment_intent",
                "payment_method",
                "reason",
                "receipt_number",
            ),
            *("source_transfer_reversal", "transfer_reversal"),
        ),
        "created": created,
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": {},
        "status": "succeeded",
        **facts,
    }


EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)


def dispute(object_id: str, created: int, *, brand: str, inquiry: bool, **facts: Any) -> dict[str, Any]:
    case = {"brand": brand, "case_type": "inquiry" if inquiry else "chargeback", "network_reason_code": "10.4", "network": brand}
    return {
        "id": object_id,
        "object": "dispute",
        "balance_transactions": [],
        "created": created,
        "enhanced_eligibility_types": [],
        "evidence": {**_nones(*EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": created + 7 * ONE_DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_method_details": {"card": case, "type": "card"},
        "status": "warning_needs_response" if inquiry else "needs_response",
        **facts,
    }


def event(object_id: str, created: int, kind: str, thing: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return {
        "id": object_id,
        "object": "event",
        "api_version": None,
        "created": created,
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        **facts,
    }


def webhook_endpoint(object_id: str, created: int, **facts: Any) -> dict[str, Any]:
    return {
        "id": object_id,
        "object": "webhook_endpoint",
        **_nones("api_version", "application", "description"),
        "created": created,
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        **facts,
    }
