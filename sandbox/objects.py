"""Stripe's objects with all of their fields, as a new object has them.

Each function returns every field that the specification requires and every field that may be null.
Fields for cases that the double doesn't have are left out. The store adds the common fields (`id`,
`object`, `created`, `livemode`).
"""

from typing import Any

Object = dict[str, Any]

NO_ADDRESS: Object = {
    "city": None,
    "country": None,
    "line1": None,
    "line2": None,
    "postal_code": None,
    "state": None,
}
NO_CHECKS: Object = {
    "address_line1_check": None,
    "address_postal_code_check": None,
    "cvc_check": None,
}
PASSED: Object = NO_CHECKS | {"address_postal_code_check": "pass", "cvc_check": "pass"}


def billing_details(
    name: str | None = None, zip_: str | None = None, country: str | None = None
) -> Object:
    address = NO_ADDRESS | {"postal_code": zip_, "country": country}
    return {"address": address, "email": None, "name": name, "phone": None, "tax_id": None}


def card_options(**more: Any) -> Object:
    """Return the options of a card payment, as an intent has them."""
    options = {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    return {"card": options | more}


def payment_intent(**facts: Any) -> Object:
    return {
        "amount": 0,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": None,
        "confirmation_method": "automatic",
        "currency": "usd",
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "managed_payments": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": card_options(installments=None),
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    } | facts


def setup_intent(**facts: Any) -> Object:
    return {
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": None,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "managed_payments": None,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": card_options(),
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": "off_session",
    } | facts


def charge(**facts: Any) -> Object:
    return {
        "amount": 0,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": billing_details(),
        "calculated_statement_descriptor": None,
        "captured": True,
        "currency": "usd",
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "metadata": {},
        "on_behalf_of": None,
        "outcome": None,
        "paid": True,
        "payment_intent": None,
        "payment_method": None,
        "payment_method_details": None,
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    } | facts


def outcome(code: str | None, decline_code: str | None) -> Object:
    """Return the outcome of a charge at the bank and at Stripe."""
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if code else "approved_by_network",
        "reason": (decline_code or code) if code else None,
        "risk_level": "normal",
        "seller_message": "The bank did not return any further details with this decline."
        if code
        else "Payment complete.",
        "type": "issuer_declined" if code else "authorized",
    }


def charged_card(card: Object) -> Object:
    """Return a charge's card details for a PaymentMethod's card."""
    same = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    details = {
        "amount_authorized": None,
        "authorization_code": None,
        "checks": card["checks"],
        "installments": None,
        "mandate": None,
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "wallet": None,
    }
    return {"card": details | {name: card[name] for name in same}, "type": "card"}


def card(brand: str, last4: str, month: int, year: int, fingerprint: str | None) -> Object:
    """Return the card of a PaymentMethod."""
    return {
        "brand": brand,
        "checks": PASSED,
        "country": "US",
        "display_brand": brand,
        "exp_month": month,
        "exp_year": year,
        "fingerprint": fingerprint,
        "funding": "credit",
        "generated_from": None,
        "last4": last4,
        "networks": {"available": [brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def payment_method(**facts: Any) -> Object:
    return {
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(),
        "customer": None,
        "customer_account": None,
        "metadata": {},
        "type": "card",
    } | facts


def confirmation_token(**facts: Any) -> Object:
    return {
        "expires_at": None,
        "mandate_data": None,
        "payment_intent": None,
        "payment_method_options": None,
        "payment_method_preview": None,
        "return_url": None,
        "setup_future_usage": None,
        "setup_intent": None,
        "shipping": None,
        "use_stripe_sdk": True,
    } | facts


def customer(**facts: Any) -> Object:
    return {
        "address": None,
        "balance": 0,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": None,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    } | facts


def refund(**facts: Any) -> Object:
    """Return a refund. It has no `livemode`, as at Stripe."""
    return {
        "amount": 0,
        "balance_transaction": None,
        "charge": None,
        "currency": "usd",
        "metadata": {},
        "payment_intent": None,
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    } | facts


EVIDENCE = (
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure"
    " cancellation_rebuttal customer_communication customer_email_address customer_name"
    " customer_purchase_ip customer_signature duplicate_charge_documentation"
    " duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy"
    " refund_policy_disclosure refund_refusal_explanation service_date service_documentation"
    " shipping_address shipping_carrier shipping_date shipping_documentation"
    " shipping_tracking_number uncategorized_file uncategorized_text"
).split()


def dispute(**facts: Any) -> Object:
    return {
        "amount": 0,
        "balance_transactions": [],
        "charge": None,
        "currency": "usd",
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": None,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "metadata": {},
        "payment_intent": None,
        "reason": "fraudulent",
        "status": "needs_response",
    } | facts


def balance_transaction(**facts: Any) -> Object:
    """Return a change of the account's balance. It has no `livemode`, as at Stripe."""
    return {
        "amount": 0,
        "balance_type": "payments",
        "currency": "usd",
        "description": None,
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": 0,
        "object": "balance_transaction",
        "reporting_category": "dispute",
        "source": None,
        "status": "available",
        "type": "adjustment",
    } | facts


def account(id_: str) -> Object:
    return {
        "id": id_,
        "object": "account",
        "business_profile": None,
        "business_type": None,
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "groups": None,
        "payouts_enabled": True,
        "settings": None,
        "type": "standard",
    }


def webhook_endpoint(**facts: Any) -> Object:
    return {
        "api_version": None,
        "application": None,
        "description": None,
        "enabled_events": [],
        "metadata": {},
        "status": "enabled",
        "url": "",
    } | facts


def ways_to_pay(params: Object) -> Object:
    """Return the payment methods that an intent accepts, by the parameters of its creation.

    Without any, Stripe accepts all methods of the account's dashboard, including those that
    redirect.
    """
    if types := params.get("payment_method_types"):
        return {"payment_method_types": types}
    chosen = params.get("automatic_payment_methods", {"enabled": True})
    redirects = chosen.get("allow_redirects", "always")
    return {"automatic_payment_methods": {"allow_redirects": redirects, "enabled": True}}
