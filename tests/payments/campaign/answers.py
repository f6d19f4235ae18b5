"""Answers to clients and operators, which the oracle compares with rows and objects."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Told:
    """An answer to a client. `key`: the idempotency key of the request, if it had one."""

    client: int
    what: str
    typename: str
    key: str | None = None
    payment_id: str | None = None
    amount: int | None = None
    card_id: str | None = None
    setup_id: str | None = None


@dataclass
class Intention:
    """A refund that an operator wants once, for any number of runs of the command."""

    client: int
    payment_id: str
    amount: int | None
    # The operator's own key, or the one that the command printed, which resumes the refund.
    key: str | None = None
    is_resumed: bool = False
    # The command by which the refund is resumed, as the command itself printed it.
    command: str | None = None
    # The key of another refund of the same payment, which has to be resumed first.
    earlier: str | None = None
    runs: int = 0
    # The refund's id at Stripe and its amount, as printed by the command.
    refund_id: str | None = None
    refunded: int | None = None
    # The sentence by which the command refused, if it did.
    refusal: str | None = None
    printed: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.refund_id is not None or self.refusal is not None


@dataclass
class Journal:
    """All answers of a campaign."""

    told: list[Told] = field(default_factory=list)
    intentions: list[Intention] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def tell(self, client: int, what: str, answer: dict[str, Any], **more: Any) -> Told:
        said = Told(client, what, answer["__typename"], **more)
        self.told.append(said)
        self.counts[f"{what}: {said.typename}"] += 1
        return said

    def succeeded(self, client: int) -> list[Told]:
        """Return the card payments of this client that were answered as succeeded."""
        paid: dict[str, Told] = {}
        for one in self.told:
            if one.client == client and one.typename == "PaySucceeded" and one.amount:
                paid[one.payment_id or ""] = one
        return list(paid.values())
