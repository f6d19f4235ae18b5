"""A small crash campaign on each database, and an oracle that finds each kind of fault."""

import copy
import random
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SEED
from tests.payments.campaign.answers import Intention, Journal
from tests.payments.campaign.facts import KINDS, TABLES, Facts
from tests.payments.campaign.oracle import hashed, judged, tried
from tests.payments.campaign.refunding import Operator
from tests.payments.campaign.report import upper_bound
from tests.payments.campaign.run import Wanted, campaign
from tests.payments.campaign.servers import Pool
from tests.payments.campaign.world import Debt, House, Somebody
from tests.support import shares

CLIENTS = shares.number(12, quick=6)


@pytest.mark.rest
@pytest.mark.server
@pytest.mark.campaign
@pytest.mark.parametrize("kind", [pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
async def test_amid_crashes_nothing_is_charged_twice_or_lost(kind: str, postgres_url: str) -> None:
    wanted = Wanted(CLIENTS, str(SEED), at_once=CLIENTS)
    result = await campaign(wanted, is_sqlite=kind == "sqlite")
    assert result.all == []
    # Clients have paid and faults have happened, so the campaign did try something.
    assert result.tried["charged twice"] >= CLIENTS // 2, result.counts
    assert result.counts["events lost"], result.counts


# -- the oracle finds faults -----------------------------------------------------------------------

PRACTICE, PAYMENT, CLIENT, INVOICE = "pra", "pay", "cli", "inv"


def facts() -> Facts:
    """Return facts of one client with a card on file, a paid invoice of 100, and a refund of 30."""
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    objects: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    own = {"client_id": CLIENT, "payment_id": PAYMENT}
    rows["practice"] = [{"id": PRACTICE}]
    rows["payment"] = [
        {"id": PAYMENT, "client_id": CLIENT, "state": "SUCCEEDED", "idempotency_key": hashed("key")}
    ]
    rows["receipt"] = [own]
    rows["invoice"] = [{"id": INVOICE, "client_id": CLIENT, "total_minor": 100}]
    rows["allocation"] = [own | {"invoice_id": INVOICE, "amount_minor": 100}]
    entry = own | {"dispute_id": None, "invoice_id": None}
    rows["ledger_entry"] = [
        entry | {"kind": "PAYMENT", "amount_minor": -100},
        entry | {"kind": "REFUND", "amount_minor": 30},
    ]
    rows["refund"] = [own | {"state": "SUCCEEDED", "key": "rfd"}]
    rows["payment_method"] = [
        {
            "id": "card",
            "client_id": CLIENT,
            "stripe_id": "pm",
            "removed_at": None,
            "is_default": True,
        }
    ]
    metadata = {"payment": PAYMENT, "practice": PRACTICE}
    of_intent = {"payment_intent": "pi", "currency": "usd", "status": "succeeded"}
    objects["payment_intent"] = [{"id": "pi", "status": "succeeded", "metadata": metadata}]
    objects["charge"] = [of_intent | {"id": "ch", "number": 2, "amount": 100}]
    refund = {"id": "re", "number": 3, "amount": 30, "metadata": {"refund": "rfd"}}
    objects["refund"] = [of_intent | refund]
    objects["customer"] = [{"id": "cus", "metadata": {"client": CLIENT}}]
    objects["payment_method"] = [{"id": "pm", "customer": "cus"}]
    somebody = Somebody(0, CLIENT, "", House(PRACTICE, "acct", ""), random.Random(1))
    somebody.debts = [Debt(INVOICE, 100, since=0)]
    journal = Journal(intentions=[Intention(0, PAYMENT, 30, refund_id="re", refunded=30)])
    journal.tell(0, "pay", {"__typename": "PaySucceeded"}, payment_id=PAYMENT, amount=100)
    return Facts(rows, objects, [somebody], journal)


def found(altered: Facts) -> set[str]:
    """Return the kinds of fault that the oracle finds."""
    again = Facts(altered.rows, altered.objects, altered.people, altered.journal)
    return {name for name, findings in judged(again).items() if findings}


def test_oracle_finds_nothing_in_consistent_facts() -> None:
    assert found(facts()) == set()


def test_second_charge_is_found() -> None:
    altered = facts()
    second = copy.deepcopy(altered.objects["charge"][0]) | {"id": "ch_2", "number": 4}
    altered.objects["charge"].append(second)
    assert "charged twice" in found(altered)


def test_second_payment_of_one_invoice_is_found() -> None:
    """Each of the two payments has one charge; together they are more than was due."""
    altered = facts()
    altered.rows["payment"].append(
        altered.rows["payment"][0] | {"id": "p2", "idempotency_key": "k"}
    )
    metadata = {"payment": "p2", "practice": PRACTICE}
    intent = altered.objects["payment_intent"][0] | {"id": "pi_2", "metadata": metadata}
    altered.objects["payment_intent"].append(intent)
    second = {"id": "ch_2", "number": 4, "payment_intent": "pi_2"}
    altered.objects["charge"].append(altered.objects["charge"][0] | second)
    assert "charged twice" in found(altered)


@pytest.mark.parametrize("number", [1, 5])
def test_second_refund_is_found(number: int) -> None:
    altered = facts()
    second = copy.deepcopy(altered.objects["refund"][0]) | {"id": "re_2", "number": number}
    altered.objects["refund"].append(second)
    assert "refunded twice" in found(altered)


def test_lost_ledger_entry_or_receipt_is_found() -> None:
    for k in range(2):
        altered = facts()
        del altered.rows["ledger_entry"][k]
        assert "lost (ledger unlike Stripe's)" in found(altered)
    altered = facts()
    altered.rows["receipt"].clear()
    assert "lost (ledger unlike Stripe's)" in found(altered)


def test_invoice_paid_twice_is_found() -> None:
    altered = facts()
    altered.rows["allocation"].append(altered.rows["allocation"][0])
    assert "an invoice paid twice" in found(altered)


@pytest.mark.parametrize("typename", ["CardDeclined", "PayCanceled"])
def test_wrong_answer_is_found(typename: str) -> None:
    altered = facts()
    altered.journal.tell(0, "pay", {"__typename": typename}, payment_id=PAYMENT)
    assert "told wrong" in found(altered)
    altered = facts()
    altered.journal.tell(0, "pay", {"__typename": "NothingToPay"}, key="key")
    assert "told wrong" in found(altered)


def test_unfinished_payment_or_refund_is_found() -> None:
    for table, change in (
        ("payment", {"state": "PROCESSING"}),
        ("refund", {"state": "REQUESTED"}),
    ):
        altered = facts()
        altered.rows[table][0].update(change)
        assert "never at rest" in found(altered)


@pytest.mark.parametrize(
    "change", [{"removed_at": "today"}, {"is_default": False}, {"client_id": "another"}]
)
def test_card_unlike_stripes_is_found(change: dict[str, Any]) -> None:
    altered = facts()
    altered.rows["payment_method"][0].update(change)
    assert "card on file unlike Stripe's" in found(altered)


def test_card_detached_at_stripe_is_found() -> None:
    altered = facts()
    altered.objects["payment_method"][0]["customer"] = None
    assert "card on file unlike Stripe's" in found(altered)


def test_every_kind_of_fault_has_a_count_of_tries() -> None:
    assert set(tried(facts())) == set(judged(facts()))


# -- the bounds ------------------------------------------------------------------------------------


def test_upper_bound_without_findings_is_the_rule_of_three() -> None:
    assert upper_bound(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert upper_bound(0, 0) == 1


def test_upper_bound_with_findings_is_clopper_pearson() -> None:
    # Values from tables of the binomial distribution.
    assert upper_bound(1, 20) == pytest.approx(0.2161, abs=0.0005)
    assert upper_bound(5, 100) == pytest.approx(0.1023, abs=0.0005)
    assert upper_bound(3, 3) == 1


# -- the operator ----------------------------------------------------------------------------------


def test_operator_runs_the_printed_command(tmp_path: Path) -> None:
    operator = Operator(Pool(tmp_path, "1"), {}, "1")
    intention = Intention(0, "0a", None)
    operator.read(
        intention,
        "Refunding 7.00 USD. If this is interrupted, resume it by\n"
        "  portal refund pmt_0a --amount 7.00 --key rfd_0b\n",
    )
    printed = ["refund", "pmt_0a", "--amount", "7.00", "--key", "rfd_0b"]
    assert operator.arguments(intention) == printed
    assert not intention.is_over
    operator.read(intention, "7.00 USD of pmt_0a: SUCCEEDED (re_1).\nexit 0\n")
    assert (intention.refund_id, intention.refunded) == ("re_1", 700)
    operator.pool.close()
