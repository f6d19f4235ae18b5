"""The rows of `portal demo`, on any day, and of `portal load-demo`: all sums are right."""

import datetime as dt
import uuid
from itertools import pairwise

import pytest

from models import (
    Allocation,
    Client,
    DocumentCounter,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Payment,
    PaymentMethod,
    PaymentMethodKind,
    PaymentState,
    Practice,
    Receipt,
    Session,
    Statement,
    StatementLine,
    Superbill,
    SuperbillLine,
)
from tests.demo.worlds import WORLDS
from tests.support.demo_ledger import ISSUED, Ledgers, Values, by, milliseconds, sums, total

pytestmark = pytest.mark.share(4, alike=True)
DOCUMENTS = {Invoice: "INV", Statement: "STM", Superbill: "SB", Receipt: "RCP"}


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest) -> Ledgers:
    return WORLDS[request.param]()


# -- the sums --------------------------------------------------------------------------------------


def test_balance_is_the_amount_due_less_unused_credit(world: Ledgers) -> None:
    for client in world.all(Client):
        due, credit = world.all_due(client["id"]), world.credit(client["id"])
        assert world.balance(client["id"]) == due - credit


def test_amounts_due_and_credit_were_never_negative(world: Ledgers) -> None:
    for invoice in world.all(Invoice):
        assert min(world.due_over_time(invoice)) >= 0, invoice
    for client in world.all(Client):
        assert min(world.credit_over_time(client["id"]), default=0) >= 0, client


def test_invoices_lines_add_up_to_its_total_and_ledger_entries(world: Ledgers) -> None:
    for invoice in world.all(Invoice):
        lines, entries = world.lines(invoice), world.all(LedgerEntry, invoice_id=invoice["id"])
        assert total(lines) == invoice["total_minor"]
        assert [line["position"] for line in lines] == list(range(1, len(lines) + 1))
        issued = {entry["reference"]: entry for entry in entries if entry["kind"] in ISSUED}
        assert issued.keys() == references(lines, is_void=invoice["is_void"])
        for line in lines:
            same_as(issued[f"line {line['position']}"], line, line["date"] or invoice["issued_on"])
            if invoice["is_void"]:
                reversal = dict(line, amount_minor=-line["amount_minor"])
                same_as(issued[f"void {line['position']}"], reversal, invoice["voided_on"])


def references(lines: list[Values], *, is_void: bool) -> set[str]:
    kinds = ("line", "void") if is_void else ("line",)
    return {f"{kind} {line['position']}" for kind in kinds for line in lines}


def same_as(entry: Values, line: Values, date: dt.date) -> None:
    kind = EntryKind.SESSION if line["session_id"] else EntryKind.CHARGE
    assert (entry["kind"], entry["amount_minor"]) == (kind, line["amount_minor"])
    assert (entry["session_id"], entry["date"]) == (line["session_id"], date)


def test_void_and_negative_invoices_have_nothing_due_and_no_allocation(
    world: Ledgers,
) -> None:
    for invoice in world.all(Invoice, is_void=True):
        assert (world.due(invoice), world.paid(invoice)) == (0, 0)
        sources = {
            (one["payment_id"], one["is_credit"])
            for one in world.all(Allocation, invoice_id=invoice["id"])
        }
        for payment_id, is_credit in sources:
            found = world.all(Allocation, invoice_id=invoice["id"], payment_id=payment_id)
            assert total(one for one in found if one["is_credit"] is is_credit) == 0
    for invoice in world.all(Invoice):
        if invoice["total_minor"] < 0:
            assert (world.due(invoice), world.paid(invoice)) == (0, invoice["total_minor"])


def test_succeeded_payment_has_a_ledger_entry_and_a_receipt(world: Ledgers) -> None:
    for payment in world.all(Payment):
        entries = world.all(LedgerEntry, payment_id=payment["id"], kind=EntryKind.PAYMENT)
        receipts = world.all(Receipt, payment_id=payment["id"])
        if payment["state"] != PaymentState.SUCCEEDED:
            assert not entries
            assert not receipts
            continue
        (entry,), (receipt,) = entries, receipts
        assert entry["id"] == entry["reference"] == payment["id"]
        assert (entry["date"], receipt["issued_on"]) == (payment["created_on"],) * 2
        assert payment["amount_minor"] == receipt["amount_minor"] == -entry["amount_minor"] > 0


def test_allocations_and_refunds_do_not_exceed_the_payment(world: Ledgers) -> None:
    for payment in world.all(Payment):
        put = world.all(Allocation, payment_id=payment["id"], is_credit=False)
        refunds = world.all(LedgerEntry, payment_id=payment["id"], kind=EntryKind.REFUND)
        assert 0 <= total(put) <= payment["amount_minor"] - total(refunds)
        assert len({refund["reference"] for refund in refunds}) == len(refunds)


def test_payment_of_the_balance_pays_the_oldest_invoices_first(world: Ledgers) -> None:
    for payment in world.all(Payment, invoice_id=None):
        put = by(world.all(Allocation, payment_id=payment["id"]), "id")
        given = [one for one in put if one["amount_minor"] > 0]
        serials = [world.one(Invoice, id=one["invoice_id"])["serial"] for one in given]
        assert serials == sorted(serials)
        assert [one["is_credit"] for one in given] == sorted(
            (one["is_credit"] for one in given), reverse=True
        )


def test_refund_takes_back_from_the_last_invoice_first(world: Ledgers) -> None:
    for refund in world.all(LedgerEntry, kind=EntryKind.REFUND):
        put = by(world.all(Allocation, payment_id=refund["payment_id"], is_credit=False), "id")
        given = [one["amount_minor"] for one in put if one["amount_minor"] > 0]
        invoices = [one["invoice_id"] for one in put if one["amount_minor"] > 0]
        left = [
            total(one for one in put if one["invoice_id"] == invoice_id) for invoice_id in invoices
        ]
        kept = sum(left)
        assert left == [min(max(kept - before, 0), one) for before, one in starts(given)]


def test_days_are_in_the_practices_time_zone_and_not_in_the_future(world: Ledgers) -> None:
    end = dt.datetime.combine(world.today, dt.time(0, 20), dt.UTC)
    for row, moment, date in [
        (Payment, "created_at", "created_on"),
        (Allocation, "created_at", "date"),
        (Receipt, "issued_at", "issued_on"),
    ]:
        for values in world.all(row):
            assert world.day(values["practice_id"], values[moment]) == values[date]
            assert values[moment] < end
    for entry in world.all(LedgerEntry):
        assert entry["created_at"] < end
        assert entry["date"] <= world.day(entry["practice_id"], entry["created_at"]) < world.today
    for session in world.all(Session):
        assert world.day(session["practice_id"], session["starts_at"]) == session["date"]
        assert session["starts_at"].minute == 0


def starts(amounts: list[int]) -> list[tuple[int, int]]:
    """Pair each amount with the sum of those before it."""
    return list(zip([0, *sums(amounts)], amounts, strict=False))


# -- documents -------------------------------------------------------------------------------------


def test_document_numbers_are_consecutive(world: Ledgers) -> None:
    for practice in world.all(Practice):
        for row, prefix in DOCUMENTS.items():
            issued = by(world.all(row, practice_id=practice["id"]), "serial")
            assert [one["serial"] for one in issued] == list(range(1, len(issued) + 1))
            assert [milliseconds(one["id"]) for one in issued] == sorted(
                milliseconds(one["id"]) for one in issued
            )
            days = [one["issued_on"] for one in issued]
            assert days == sorted(days)
            for one in issued:
                assert one["number"] == f"{prefix}-{one['issued_on'].year}-{one['serial']:04}"
            counters = world.all(DocumentCounter, practice_id=practice["id"])
            assert len(counters) == len(DOCUMENTS)
            kind = row.__name__.upper()
            assert [one["last"] for one in counters if one["kind"] == kind] == [len(issued)]


def test_statement_begins_with_the_previous_ones_ending_balance(world: Ledgers) -> None:
    for client in world.all(Client):
        statements = by(world.all(Statement, client_id=client["id"]), "period_start")
        assert all(one["period_end"] < one["issued_on"] for one in statements)
        for before, after in pairwise(statements):
            assert before["period_end"] < after["period_start"]
            assert before["ending_minor"] == after["beginning_minor"]
        assert [one["beginning_minor"] for one in statements[:1]] in ([], [0])


def test_statement_ends_with_the_ledgers_balance_of_that_day(world: Ledgers) -> None:
    for statement in world.all(Statement):
        entries = world.all(LedgerEntry, client_id=statement["client_id"])
        posted = [entry for entry in entries if entry["posted_on"] <= statement["period_end"]]
        assert statement["ending_minor"] == total(posted)


def test_statement_is_the_sum_of_its_lines(world: Ledgers) -> None:
    for statement in world.all(Statement):
        lines = by(world.all(StatementLine, statement_id=statement["id"]), "position")
        moved = [line["invoiced_minor"] - line["paid_minor"] for line in lines]
        balances = sums([statement["beginning_minor"], *moved])
        assert [line["balance_after_minor"] for line in lines] == balances[1:]
        assert statement["ending_minor"] == balances[-1]
        assert statement["invoiced_minor"] == sum(line["invoiced_minor"] for line in lines)
        days = [line["date"] for line in lines]
        assert days == sorted(days)
        assert all(statement["period_start"] <= day <= statement["period_end"] for day in days)
        numbers = {one["number"] for one in world.all(Invoice, client_id=statement["client_id"])}
        assert {line["invoice_number"] for line in lines} <= numbers | {None}


def test_statements_payments_are_those_of_its_period(world: Ledgers) -> None:
    of_money = (EntryKind.PAYMENT, EntryKind.REFUND, EntryKind.CREDIT)
    for statement in world.all(Statement):
        start, end = statement["period_start"], statement["period_end"]
        entries = world.all(LedgerEntry, client_id=statement["client_id"])
        assert statement["paid_minor"] == -total(
            entry
            for entry in entries
            if entry["kind"] in of_money and start <= entry["posted_on"] <= end
        )


def test_superbills_lines_are_its_periods_sessions_with_their_paid_amounts(
    world: Ledgers,
) -> None:
    for bill in world.all(Superbill):
        lines = by(world.all(SuperbillLine, superbill_id=bill["id"]), "position")
        sessions = [
            session
            for session in by(world.all(Session, client_id=bill["client_id"]), "date")
            if bill["period_start"] <= session["date"] <= bill["period_end"]
        ]
        assert [line["session_id"] for line in lines] == [session["id"] for session in sessions]
        for line, session in zip(lines, sessions, strict=True):
            assert (line["date"], line["fee_minor"]) == (session["date"], session["fee_minor"])
            assert line["paid_minor"] == paid_of_session(world, session, bill["issued_on"])


def paid_of_session(world: Ledgers, session: Values, day: dt.date) -> int:
    """Return the part of the session's fee paid before a day: money fills an invoice's lines in
    order.
    """
    for line in world.all(InvoiceLine, session_id=session["id"]):
        invoice = world.one(Invoice, id=line["invoice_id"])
        if invoice["issued_on"] < day and not (invoice["is_void"] and invoice["voided_on"] < day):
            put = world.all(Allocation, invoice_id=invoice["id"])
            paid = total(one for one in put if one["date"] < day)
            before = total(world.lines(invoice)[: line["position"] - 1])
            return int(min(max(paid - before, 0), line["amount_minor"]))
    return 0


# -- references between rows -----------------------------------------------------------------------


def test_session_is_on_one_valid_invoice_or_recent(world: Ledgers) -> None:
    for session in world.all(Session):
        lines = world.all(InvoiceLine, session_id=session["id"], is_void=False)
        recent = session["date"] > world.today - dt.timedelta(28)
        assert len(lines) == 1 or (not lines and recent)
    for line in world.all(InvoiceLine):
        invoice = world.one(Invoice, id=line["invoice_id"])
        assert line["is_void"] is invoice["is_void"]
        if line["session_id"]:
            session = world.one(Session, id=line["session_id"])
            assert session["client_id"] == invoice["client_id"]


def test_holder_with_cards_has_one_valid_default(world: Ledgers) -> None:
    month = (world.today.year, world.today.month)
    owners = {(card["client_id"], card["contact_id"]) for card in world.all(PaymentMethod)}
    for client_id, contact_id in owners:
        cards = world.all(PaymentMethod, client_id=client_id, contact_id=contact_id)
        defaults = [card for card in cards if card["is_default"]]
        assert len(defaults) == 1
        assert all((card["exp_year"], card["exp_month"]) >= month for card in defaults)


def test_cards_belong_to_practices_with_online_payments(world: Ledgers) -> None:
    online = {one["id"] for one in world.all(Practice) if one["stripe_account"]}
    assert online == {one["practice_id"] for one in world.all(PaymentMethod)}
    by_card = world.all(Payment, method=PaymentMethodKind.CARD)
    assert online == {one["practice_id"] for one in by_card}
    for payment in by_card:
        card = world.one(PaymentMethod, id=payment["payment_method_id"])
        assert card["added_at"] < payment["created_at"]
        assert (payment["card_brand"], payment["card_last4"]) == (card["brand"], card["last4"])


def test_ids_are_in_the_order_of_time(world: Ledgers) -> None:
    ids = [one["id"] for row in world.rows for one in world.all(row) if "id" in one]
    ledger_of_payments = len(world.all(LedgerEntry, kind=EntryKind.PAYMENT))
    assert len(ids) - len(set(ids)) == ledger_of_payments
    assert {uuid.UUID(one).version for one in ids} == {7}
    for row in (LedgerEntry, Allocation, Payment):
        for one in world.all(row):
            when = round(one["created_at"].timestamp() * 1000)
            assert abs(milliseconds(one["id"]) - when) < 1000
