"""Steps of payments that are refunded or disputed, and the account after them."""

from collections.abc import Callable
from typing import Any

from sandbox import reversals
from tests.support.payments import ACCOUNT, Paying

STANDING = """{ client {
  balance { amount { minorUnits } payable { minorUnits } terms { kind amount { minorUnits } } }
  canPay { isAllowed reason }
  invoices(orderBy: {field: NUMBER, direction: ASC}) {
    nodes { id status isDisputed amountPaid { minorUnits } amountDue { minorUnits }
      payable { minorUnits } } }
  payments { nodes { refunded { minorUnits } } }
  accountHistory(kind: [REFUND, DISPUTE]) { nodes { kind description amount { minorUnits } } }
} }"""


async def paid(portal: Paying, *amounts: int) -> tuple[str, str]:
    """Pay new invoices of these amounts; return the ids of the payment and of its PaymentIntent."""
    for amount in amounts:
        await portal.invoice(amount)
    done = await portal.pay(sum(amounts), portal.card())
    assert done["__typename"] == "PaySucceeded"
    payment_id = done["payment"]["id"].removeprefix("pmt_")
    (intent,) = (
        one["id"]
        for one in portal.store.all("payment_intent")
        if one["metadata"]["payment"] == payment_id
    )
    return payment_id, intent


async def standing(portal: Paying) -> dict[str, Any]:
    portal.bearer = await portal.token()
    answer = (await portal.ask(STANDING, portal.bearer)).json()
    assert "errors" not in answer, answer
    client: dict[str, Any] = answer["data"]["client"]
    return client


def minor(of: dict[str, Any], *path: str) -> int:
    for name in path:
        of = of[name]
    return int(of["minorUnits"])


async def dues(portal: Paying) -> list[int]:
    nodes = (await standing(portal))["invoices"]["nodes"]
    return [minor(node, "amountDue") for node in nodes]


def at_stripe(portal: Paying, what: Callable[..., Any], *given: Any, **named: Any) -> Any:
    with portal.store.transaction():
        return what(portal.store, ACCOUNT, *given, **named)


def refunded_there(portal: Paying, intent: str, amount: int) -> str:
    params = {"payment_intent": intent, "amount": str(amount)}
    return str(at_stripe(portal, reversals.create_refund, params)["id"])
