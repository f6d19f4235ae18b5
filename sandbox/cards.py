"""Stripe's published test cards and their behaviour. No other number is accepted.

Source: docs.stripe.com/testing.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Behaviour:
    """A card's behaviour. `code` is its decline, if it has one. `asks` requires 3-D Secure first.

    With `can_be_kept` it is declined only when it is charged. With `is_disputed` each charge is
    disputed.
    """

    brand: str
    code: str | None = None
    decline_code: str | None = None
    asks: bool = False
    can_be_kept: bool = False
    is_disputed: bool = False


CARDS = {
    "4242424242424242": Behaviour("visa"),
    "4000056655665556": Behaviour("visa"),
    "5555555555554444": Behaviour("mastercard"),
    "2223003122003222": Behaviour("mastercard"),
    "378282246310005": Behaviour("amex"),
    "6011111111111117": Behaviour("discover"),
    "3056930009020004": Behaviour("diners"),
    "3566002020360505": Behaviour("jcb"),
    "6200000000000005": Behaviour("unionpay"),
    "4000000000000002": Behaviour("visa", "card_declined", "generic_decline"),
    "4000000000009995": Behaviour("visa", "card_declined", "insufficient_funds"),
    "4000000000009987": Behaviour("visa", "card_declined", "lost_card"),
    "4000000000009979": Behaviour("visa", "card_declined", "stolen_card"),
    "4100000000000019": Behaviour("visa", "card_declined", "fraudulent"),
    "4000000000000069": Behaviour("visa", "expired_card", "expired_card"),
    "4000000000000127": Behaviour("visa", "incorrect_cvc", "incorrect_cvc"),
    "4000000000000119": Behaviour("visa", "processing_error", "processing_error"),
    "4000000000000341": Behaviour("visa", "card_declined", "generic_decline", can_be_kept=True),
    "4000000000000259": Behaviour("visa", is_disputed=True),
    "4000002500003155": Behaviour("visa", asks=True),
    "4000002760003184": Behaviour("visa", asks=True),
    "4000000000003220": Behaviour("visa", asks=True),
    "4000008400001629": Behaviour("visa", "card_declined", "generic_decline", asks=True),
}


def does(number: str) -> str:
    """Describe a card's behaviour in words."""
    card = CARDS[number]
    parts = ["asks for 3-D Secure first"] if card.asks else []
    if card.code is not None:
        reason = (card.decline_code or card.code).replace("_", " ")
        when = " once it is on file and charged" if card.can_be_kept else ""
        parts.append(f"is declined{when}: {reason}")
    elif card.is_disputed:
        parts.append("pays, and is disputed at once")
    else:
        parts.append("pays")
    return ", then ".join(parts).capitalize()


def fingerprint(number: str) -> str:
    """Return the same text for the same number, which doesn't reveal the number."""
    return hashlib.sha256(number.encode()).hexdigest()[:16]
