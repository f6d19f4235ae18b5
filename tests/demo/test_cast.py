"""The demo's people, and the cases that its data has to show on any day."""

import datetime as dt
import unicodedata

import pytest

from demo import People
from models import (
    Allocation,
    Claim,
    Client,
    Clinician,
    Contact,
    ContactRight,
    EntryKind,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Letterhead,
    Payment,
    PaymentMethod,
    PaymentMethodKind,
    PaymentState,
    Practice,
    Session,
    Statement,
    Superbill,
    SuperbillDiagnosis,
    SuperbillLine,
)
from tests.demo.worlds import DEMOS
from tests.support.demo_ledger import Ledgers, Values, by, total

pytestmark = pytest.mark.share(4, alike=True)


@pytest.fixture(scope="module", params=DEMOS)
def told(request: pytest.FixtureRequest) -> tuple[People, Ledgers]:
    return DEMOS[request.param]()


@pytest.fixture
def people(told: tuple[People, Ledgers]) -> People:
    return told[0]


@pytest.fixture
def world(told: tuple[People, Ledgers]) -> Ledgers:
    return told[1]


# -- the client with the printed token -------------------------------------------------------------


def test_client_owes_an_invoice_and_part_of_a_past_due_one(people: People, world: Ledgers) -> None:
    invoices = by(world.all(Invoice, client_id=people.client_id), "serial")
    open_ones = [(world.status(one), world.is_past_due(one)) for one in invoices if world.due(one)]
    assert open_ones == [("PARTIALLY_PAID", True), ("UNPAID", False)]
    assert {world.status(one) for one in invoices[:-2]} == {"PAID"}
    assert len(invoices) > 40


def test_client_has_some_credit_but_less_than_is_due(people: People, world: Ledgers) -> None:
    assert 0 < world.credit(people.client_id) < world.all_due(people.client_id)
    assert world.balance(people.client_id) > 0


def test_client_has_sessions_and_a_payment_in_the_last_month(
    people: People, world: Ledgers
) -> None:
    since = world.today - dt.timedelta(30)
    entries = [
        one for one in world.all(LedgerEntry, client_id=people.client_id) if one["date"] > since
    ]
    kinds = {one["kind"] for one in entries}
    assert {EntryKind.SESSION, EntryKind.PAYMENT, EntryKind.CREDIT} <= kinds
    assert len(world.uninvoiced(people.client_id)) == 2


def test_client_has_a_valid_an_expiring_and_an_expired_card(people: People, world: Ledgers) -> None:
    cards = by(world.all(PaymentMethod, client_id=people.client_id), "id")
    this_month = world.today.year * 12 + world.today.month
    left = [card["exp_year"] * 12 + card["exp_month"] - this_month for card in cards]
    assert [(months < 0, months in (0, 1)) for months in left] == [
        (False, False),
        (False, True),
        (True, False),
    ]
    assert [card["is_default"] for card in cards] == [True, False, False]


def test_client_has_two_years_of_documents_and_an_incomplete_superbill(
    people: People, world: Ledgers
) -> None:
    first = min(one["date"] for one in world.all(Session, client_id=people.client_id))
    assert 700 < (world.today - first).days <= 731
    assert len(world.all(Statement, client_id=people.client_id)) >= 22
    superbills = by(world.all(Superbill, client_id=people.client_id), "serial")
    assert len(superbills) >= 21
    found = [bool(world.all(SuperbillDiagnosis, superbill_id=one["id"])) for one in superbills]
    assert found == [True] * (len(found) - 3) + [False, True, True]


def test_client_can_pay_online(people: People, world: Ledgers) -> None:
    practice = world.one(Practice, id=people.practice_id)
    assert (practice["stripe_account"], practice["currency"]) == ("acct_sandbox", "USD")
    states = {one["state"] for one in world.all(Payment, client_id=people.client_id)}
    assert states == {PaymentState.SUCCEEDED, PaymentState.FAILED}


# -- the other people with tokens ------------------------------------------------------------------


def test_stranger_is_of_a_practice_without_online_payments(people: People, world: Ledgers) -> None:
    assert world.one(Client, id=people.stranger_id)["practice_id"] == people.other_practice_id
    practice, other = (
        world.one(Practice, id=each) for each in (people.practice_id, people.other_practice_id)
    )
    assert other["stripe_account"] is None
    assert other["currency"] != practice["currency"]
    assert other["time_zone"] != practice["time_zone"]
    assert world.balance(people.stranger_id) > 0


def test_siblings_last_invoice_and_statement_are_not_shared(people: People, world: Ledgers) -> None:
    assert world.one(Client, id=people.sibling_id)["practice_id"] == people.practice_id
    for row in (Invoice, Statement):
        *shared, last = by(world.all(row, client_id=people.sibling_id), "serial")
        assert last["shared_at"] is None
        assert all(one["shared_at"] for one in shared)
        assert [one for one in world.all(row) if one["shared_at"] is None] == [last]
    assert world.balance(people.sibling_id) > 0


def test_guardian_looks_after_two_minors_of_one_family(people: People, world: Ledgers) -> None:
    rights = world.all(ContactRight, contact_id=people.guardian_id)
    assert [(one["sees_documents"], one["can_pay"]) for one in rights] == [(True, True)] * 2
    minors = [world.one(Client, id=one["client_id"]) for one in rights]
    adult = dt.date(world.today.year - 18, world.today.month, 1)
    assert all(minor["date_of_birth"] > adult for minor in minors)
    assert len({minor["name"].partition(" ")[2] for minor in minors}) == 1
    for minor in minors:
        (card,) = world.all(PaymentMethod, client_id=minor["id"], contact_id=people.guardian_id)
        assert card["is_default"]


def test_two_guardians_of_a_minor_have_a_card_each(people: People, world: Ledgers) -> None:
    cards = [card for card in world.all(PaymentMethod) if card["contact_id"]]
    of_clients = {card["client_id"] for card in cards}
    holders = [
        {card["contact_id"] for card in cards if card["client_id"] == of} for of in of_clients
    ]
    assert sorted(map(len, holders)) == [1, 2]
    assert all(people.guardian_id in one for one in holders)


# -- cases in the data -----------------------------------------------------------------------------


def test_invoices_have_every_status_and_some_are_past_due(world: Ledgers) -> None:
    stand = {(world.status(one), world.is_past_due(one)) for one in world.all(Invoice)}
    assert stand == {
        ("UNPAID", False),
        ("UNPAID", True),
        ("PARTIALLY_PAID", False),
        ("PARTIALLY_PAID", True),
        ("PAID", False),
        ("VOID", False),
    }
    assert any(one["notes"] for one in world.all(Invoice))


def test_sessions_of_a_void_invoice_are_on_another(world: Ledgers) -> None:
    for invoice in world.all(Invoice, is_void=True):
        for line in world.lines(invoice):
            if line["session_id"]:
                lines = world.all(InvoiceLine, session_id=line["session_id"])
                again = [world.one(Invoice, id=one["invoice_id"]) for one in lines]
                assert [one["is_void"] for one in by(again, "serial")] == [True, False]


def test_charges_without_a_session_exist_with_and_without_a_day(world: Ledgers) -> None:
    lines = [line for one in world.all(Invoice) for line in world.lines(one)]
    charges = [line for line in lines if not line["session_id"] and line["amount_minor"] > 0]
    assert {line["date"] is None for line in charges} == {True, False}


def test_every_kind_of_ledger_entry_exists(world: Ledgers) -> None:
    found = {(one["kind"], one["invoice_id"] is not None) for one in world.all(LedgerEntry)}
    assert found == {
        (EntryKind.SESSION, True),
        (EntryKind.CHARGE, True),
        (EntryKind.ADJUSTMENT, True),
        (EntryKind.WRITE_OFF, True),
        (EntryKind.PAYMENT, False),
        (EntryKind.REFUND, False),
        (EntryKind.CREDIT, False),
    }


def test_courtesy_credit_is_partly_used(world: Ledgers) -> None:
    def spent(client: Values) -> int:
        used = world.all(Allocation, client_id=client["id"], is_credit=True, payment_id=None)
        return total(used)

    given = {one["client_id"] for one in world.all(LedgerEntry, kind=EntryKind.CREDIT)}
    clients = [one for one in world.all(Client) if one["id"] in given]
    assert any(spent(one) > 0 and world.credit(one["id"]) > 0 for one in clients)


def test_payment_of_several_invoices_was_partly_refunded(
    world: Ledgers,
) -> None:
    several = [
        one["id"]
        for one in world.all(Payment, invoice_id=None)
        if len(world.all(Allocation, payment_id=one["id"])) > 1
    ]
    refunds = world.all(LedgerEntry, kind=EntryKind.REFUND)
    assert any(refund["payment_id"] in several for refund in refunds)


def test_some_client_has_a_negative_balance(world: Ledgers) -> None:
    assert any(world.balance(one["id"]) < 0 for one in world.all(Client))


def test_credit_was_used_together_with_a_card(world: Ledgers) -> None:
    def sources(payment: Values) -> set[bool]:
        return {one["is_credit"] for one in world.all(Allocation, payment_id=payment["id"])}

    paid_by_card = world.all(Payment, method=PaymentMethodKind.CARD)
    assert any(sources(one) == {True, False} for one in paid_by_card)


def test_refunds_reopen_an_invoice_or_return_credit(world: Ledgers) -> None:
    refunds = world.all(LedgerEntry, kind=EntryKind.REFUND)
    taken = {
        one["payment_id"]
        for one in world.all(Allocation, is_credit=False)
        if one["amount_minor"] < 0
        and not world.one(Invoice, id=one["invoice_id"])["is_void"]
        and world.due(world.one(Invoice, id=one["invoice_id"])) > 0
    }
    assert {refund["payment_id"] in taken for refund in refunds} == {True, False}


def test_some_invoice_total_is_negative(world: Ledgers) -> None:
    assert any(one["total_minor"] < 0 for one in world.all(Invoice))


def test_processing_payment_claims_all_due_invoices_and_credit(
    people: People, world: Ledgers
) -> None:
    (payment,) = world.all(Payment, state=PaymentState.PROCESSING)
    assert payment["client_id"] not in (people.client_id, people.sibling_id, people.stranger_id)
    claims = world.all(Claim, payment_id=payment["id"])
    of_invoices = {one["invoice_id"]: one["amount_minor"] for one in claims if one["invoice_id"]}
    of_credit = [one["amount_minor"] for one in claims if not one["invoice_id"]]
    invoices = world.all(Invoice, client_id=payment["client_id"])
    assert of_invoices == {one["id"]: world.due(one) for one in invoices if world.due(one)}
    assert of_credit == [world.credit(payment["client_id"])]
    assert payment["amount_minor"] == sum(of_invoices.values()) - sum(of_credit)


def test_some_payments_failed_and_some_were_made_without_a_card(
    people: People, world: Ledgers
) -> None:
    failed = {one["client_id"] for one in world.all(Payment, state=PaymentState.FAILED)}
    assert failed - {people.client_id}
    methods = {one["method"] for one in world.all(Payment, state=PaymentState.SUCCEEDED)}
    assert methods >= {
        PaymentMethodKind.CARD,
        PaymentMethodKind.CASH,
        PaymentMethodKind.CHECK,
        PaymentMethodKind.BANK_TRANSFER,
    }


def test_some_superbills_miss_an_npi_or_diagnoses(world: Ledgers) -> None:
    missing = {
        (
            world.one(Letterhead, id=one["letterhead_id"])["npi"] is None,
            not world.all(SuperbillDiagnosis, superbill_id=one["id"]),
        )
        for one in world.all(Superbill)
    }
    assert missing == {(False, False), (True, False), (False, True)}


def test_superbills_have_place_of_service_modifiers_and_diagnosis_pointers(world: Ledgers) -> None:
    for line in world.all(SuperbillLine):
        by_video = line["place_of_service"] in ("02", "10")
        assert by_video or line["place_of_service"] == "11"
        assert line["modifiers"] == (["95"] if by_video else [])
        diagnoses = world.all(SuperbillDiagnosis, superbill_id=line["superbill_id"])
        positions = sorted(one["position"] for one in diagnoses)
        assert line["diagnosis_pointers"] == positions == list(range(1, len(positions) + 1))
    assert {line["place_of_service"] for line in world.all(SuperbillLine)} == {"02", "10", "11"}
    codes = {line["cpt_code"] for line in world.all(SuperbillLine)}
    assert {"90791", "90834", "90837"} <= codes


def test_every_npi_has_its_check_digit(world: Ledgers) -> None:
    numbers = {one["npi"] for row in (Clinician, Letterhead) for one in world.all(row)} - {None}
    assert len(numbers) >= 3
    for number in numbers:
        digits = [int(digit) for digit in "80840" + number]
        doubled = [digit * 2 for digit in digits[-2::-2]]
        checked = sum(digits[-1::-2]) + sum(digit // 10 + digit % 10 for digit in doubled)
        assert checked % 10 == 0


def test_contacts_have_one_or_both_rights(world: Ledgers) -> None:
    rights = {(one["sees_documents"], one["can_pay"]) for one in world.all(ContactRight)}
    assert rights == {(True, True), (True, False), (False, True)}


def test_names_have_apostrophes_hyphens_accents_and_cjk(world: Ledgers) -> None:
    names = [one["name"] for row in (Client, Clinician, Contact) for one in world.all(row)]
    assert len(set(names)) == len(names)
    letters = "".join(names)
    assert "'" in letters
    assert "-" in letters
    assert any(unicodedata.decomposition(letter) for letter in letters)
    assert any("CJK" in unicodedata.name(letter) for letter in letters)


def test_some_client_has_no_invoice_yet(world: Ledgers) -> None:
    without = [one for one in world.all(Client) if not world.all(Invoice, client_id=one["id"])]
    assert all(world.uninvoiced(one["id"]) for one in without)
    assert without
