"""Each row that a payment writes in the ledger is needed: without it the judge finds a fault."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from billing.ledger import taking_back
from billing.ledger.allocation import Share, allocate
from billing.payments import receipts, reversals, settle
from billing.payments.refund import refund_payment
from models import EntryKind
from sandbox import reversals as at_bank
from tests.payments.state_machine.judge import judge, shown_balance
from tests.support.payments import Paying, paying
from tests.support.reversals import at_stripe

pytestmark = [pytest.mark.campaign, pytest.mark.rest]


@pytest.fixture
async def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Paying]:
    monkeypatch.setattr("billing.stripe.calls.BACKOFFS_S", (0.0,))
    async with paying(f"sqlite:///{tmp_path / 'portal.sqlite'}") as it:
        yield it


async def paid(portal: Paying) -> tuple[str, str]:
    """Pay the payable amount by card; return the ids of the payment and of its PaymentIntent."""
    _, payable = await shown_balance(portal)
    done = await portal.pay(payable, portal.card())
    assert done["__typename"] == "PaySucceeded", done
    payment_id = done["payment"]["id"].removeprefix("pmt_")
    intents = {one["metadata"]["payment"]: one["id"] for one in portal.store.all("payment_intent")}
    return payment_id, intents[payment_id]


async def history(portal: Paying) -> None:
    """Pay with credit and cards; let refunds succeed and fail, and disputes be won and lost.

    Judge the rows after the first payment, after its refund, and at the end.
    """
    await portal.invoice(10_000)
    await portal.credit(2_000)
    first, _ = await paid(portal)
    # Later reversals might make up for a fault.
    await judge(portal)
    await refund_payment(portal.payment_context, first, 4_000)
    await judge(portal)
    await portal.invoice(5_500)
    second, intent = await paid(portal)
    failing = await refund_payment(portal.payment_context, second, 1_000)
    at_stripe(portal, at_bank.fail_refund, failing.stripe_id)
    lost = at_stripe(portal, at_bank.open_dispute, intent)
    await portal.hears_all()
    await portal.invoice(3_000)
    _, intent = await paid(portal)
    won = at_stripe(portal, at_bank.open_dispute, intent)
    await portal.hears_all()
    for dispute in (lost, won):
        at_stripe(portal, at_bank.close_dispute, dispute["id"], won=dispute is won)
    await portal.hears_all()
    await judge(portal)


# -- planted faults --------------------------------------------------------------------------------


def not_entered(kind: EntryKind) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        enter = reversals.enter_reversal

        async def some(book: Any, reversal: Any) -> None:
            if reversal.kind is not kind:
                await enter(book, reversal)

        monkeypatch.setattr(reversals, "enter_reversal", some)

    return plant


def nothing_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> None:
        """Move no allocation."""

    monkeypatch.setattr(reversals, "move_allocations", nothing)


def too_much_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    take = taking_back.take_back

    def twice(allocated: Any, minor: int, *given: Any) -> Iterator[Any]:
        for source, part in take(allocated, minor, *given):
            yield source, part + allocated[source]

    monkeypatch.setattr(taking_back, "take_back", twice)


def all_on_the_first_invoice(monkeypatch: pytest.MonkeyPatch) -> None:
    def allocated(amounts_due: Any, charged_minor: int) -> list[Share]:
        (due, *_) = amounts_due.invoices
        return [Share(due.invoice_id, charged_minor + 1, is_credit=False)]

    monkeypatch.setattr("billing.payments.settle.allocate", allocated)


def credit_spent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def allocated(amounts_due: Any, charged_minor: int) -> list[Share]:
        shares = allocate(amounts_due, charged_minor)
        return [one for one in shares if one.is_credit] + shares

    monkeypatch.setattr("billing.payments.settle.allocate", allocated)


def no_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    async def inserted(*_: Any) -> bool:
        """Insert no receipt."""
        return True

    monkeypatch.setattr(receipts, "insert_unless_taken", inserted)


def another_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = settle.payment_entry

    def one_less(*given: Any) -> Any:
        row = entry(*given)
        return row | {"amount_minor": row["amount_minor"] + 1}

    monkeypatch.setattr(settle, "payment_entry", one_less)


async def test_history_without_a_fault_is_accepted(portal: Paying) -> None:
    await history(portal)


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (not_entered(EntryKind.REFUND), "Stripe refunded"),
        (not_entered(EntryKind.DISPUTE), "disputed amount differs"),
        (nothing_taken_back, "credit is spent twice"),
        (too_much_taken_back, "over-paid"),
        (all_on_the_first_invoice, "not owed"),
        (credit_spent_twice, "over-paid"),
        (no_receipt, "no receipt"),
        (another_amount, "Stripe has"),
    ],
)
async def test_fault_is_found(
    plant: Callable[[pytest.MonkeyPatch], None],
    found: str,
    portal: Paying,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=found):
        await history(portal)
