"""The report of a practice's recovery."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from billing.recovery.adoption import Outcome
from billing.recovery.numbers import Moved
from billing.stripe.objects import Intent


@dataclass(frozen=True)
class Problem:
    """A payment or an account that the recovery could not deal with: its Stripe id, and why."""

    account: str
    subject: str
    reason: str


@dataclass
class Report:
    """The result of a practice's recovery. Without `is_complete` it has to be run again."""

    practice_id: str
    moved: Sequence[Moved] = ()
    adopted: int = 0
    problems: list[Problem] = field(default_factory=list)
    is_complete: bool = True
    was_needed: bool = False


def problem_of(account: str, intent: Intent, outcome: Outcome) -> Problem:
    assert intent.order is not None
    client, invoice_id = f"cli_{intent.order.client_id}", intent.order.invoice_id
    invoice = f"inv_{invoice_id}" if invoice_id else "invoices"
    reasons = {
        Outcome.WITHOUT_INVOICE: (
            f"paid {invoice} that the backup has not: its money is unused credit of {client}, which"
            " pays what is issued again"
        ),
        Outcome.NO_CLIENT: (
            f"is of {client}, whom the backup has not: enter the client again, then run `portal"
            f" recover --assign {intent.id}=cli_…` with the client's new id"
        ),
        Outcome.CLIENT_BUSY: (
            f"is of {client}, who has another payment under way: run `portal recover` again later"
        ),
        Outcome.OTHER_INTENT: (
            f"is a second charge of pmt_{intent.order.payment_id}: refund it at Stripe"
        ),
    }
    return Problem(account, intent.id, reasons[outcome])
