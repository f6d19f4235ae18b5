"""The states of payments, refunds, disputes and card forms, and the allowed transitions.

Each table of transitions is written once, here. `billing/payments/states.py` asserts it at every
write, triggers of the database refuse all other changes, and the diagrams in docs/architecture.md
are generated from it.
"""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import DDL, event


class PaymentState(enum.StrEnum):
    """The state of a payment in the protocol. The API shows the first two as one status."""

    CREATED = "CREATED"
    CONFIRMING = "CONFIRMING"
    REQUIRES_ACTION = "REQUIRES_ACTION"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class RefundState(enum.StrEnum):
    """The state of a refund. REQUESTED: written here, and it is unknown whether Stripe has it."""

    REQUESTED = "REQUESTED"
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class DisputeState(enum.StrEnum):
    OPEN = "OPEN"
    WON = "WON"
    LOST = "LOST"


class SetupState(enum.StrEnum):
    PREPARED = "PREPARED"
    KEPT = "KEPT"
    REFUSED = "REFUSED"
    # Given up: no card was refused, and none was kept.
    CANCELED = "CANCELED"
    # Stripe has probably not created it.
    UNMADE = "UNMADE"


State = PaymentState | RefundState | DisputeState | SetupState


@dataclass(frozen=True)
class Transitions:
    """The allowed transitions of the rows of a table, each with its cause.

    `first` holds the states of a new row. `following` holds the states that may follow each state.
    """

    table: str
    first: Mapping[State, str]
    following: Mapping[State, Mapping[State, str]]

    def allow(self, before: State, after: State) -> bool:
        return after in self.following.get(before, {})

    def is_final(self, state: State) -> bool:
        return not self.following.get(state)

    def pairs(self) -> Iterator[tuple[State, State]]:
        for before, following in self.following.items():
            for after in following:
                yield before, after


# -- payments --------------------------------------------------------------------------------------

PAYMENT_TRANSITIONS = Transitions(
    "payment",
    first={
        PaymentState.CREATED: "payment and claims are committed",
        PaymentState.SUCCEEDED: "recorded by the practice",
    },
    following={
        PaymentState.CREATED: {
            PaymentState.CONFIRMING: "the PaymentIntent's id is committed",
            PaymentState.SUCCEEDED: "unused credit covers everything",
            PaymentState.CANCELED: "Stripe refuses to begin, or the payment is given up",
        },
        PaymentState.CONFIRMING: {
            PaymentState.REQUIRES_ACTION: "the bank asks for 3-D Secure",
            PaymentState.PROCESSING: "the bank takes its time",
            PaymentState.SUCCEEDED: "charged",
            PaymentState.FAILED: "declined, after the intent is cancelled",
            PaymentState.CANCELED: "given up",
        },
        PaymentState.REQUIRES_ACTION: {
            PaymentState.CONFIRMING: "Stripe asks for confirmation again",
            PaymentState.PROCESSING: "the bank takes its time",
            PaymentState.SUCCEEDED: "charged",
            PaymentState.FAILED: "authentication failed",
            PaymentState.CANCELED: "given up, or 30 minutes without a change",
        },
        PaymentState.PROCESSING: {
            PaymentState.CONFIRMING: "Stripe asks for confirmation again",
            PaymentState.REQUIRES_ACTION: "the bank asks for 3-D Secure",
            PaymentState.SUCCEEDED: "charged",
            PaymentState.FAILED: "declined",
            PaymentState.CANCELED: "cancelled at Stripe",
        },
        PaymentState.FAILED: {PaymentState.SUCCEEDED: "Stripe says that the money moved"},
        PaymentState.CANCELED: {PaymentState.SUCCEEDED: "Stripe says that the money moved"},
    },
)

ACTIVE_STATES = (
    PaymentState.CREATED,
    PaymentState.CONFIRMING,
    PaymentState.REQUIRES_ACTION,
    PaymentState.PROCESSING,
)
# The states without claims. Only news of moved money changes them.
ENDED_STATES = tuple(state for state in PaymentState if state not in ACTIVE_STATES)

# -- refunds, disputes and card forms --------------------------------------------------------------

IN_DASHBOARD = "made in Stripe's dashboard"
REFUND_TRANSITIONS = Transitions(
    "refund",
    first={
        RefundState.REQUESTED: "committed before Stripe is asked",
        RefundState.PENDING: IN_DASHBOARD,
        RefundState.SUCCEEDED: IN_DASHBOARD,
        RefundState.FAILED: IN_DASHBOARD,
    },
    following={
        RefundState.REQUESTED: {
            RefundState.PENDING: "Stripe has begun it",
            RefundState.SUCCEEDED: "given back",
            RefundState.FAILED: "failed or cancelled",
        },
        RefundState.PENDING: {
            RefundState.SUCCEEDED: "given back",
            RefundState.FAILED: "failed or cancelled",
        },
        RefundState.SUCCEEDED: {RefundState.FAILED: "the bank returns the money"},
    },
)

DISPUTE_TRANSITIONS = Transitions(
    "dispute",
    first={
        DisputeState.OPEN: "the bank takes the money",
        DisputeState.WON: "decided before it was read",
        DisputeState.LOST: "decided before it was read",
    },
    following={
        DisputeState.OPEN: {
            DisputeState.WON: "the bank returns the money",
            DisputeState.LOST: "the bank keeps the money",
        },
    },
)

SETUP_TRANSITIONS = Transitions(
    "card_setup",
    first={SetupState.PREPARED: "a form is opened"},
    following={
        SetupState.PREPARED: {
            SetupState.KEPT: "the card is on file",
            SetupState.REFUSED: "the card was refused",
            SetupState.CANCELED: "given up",
            SetupState.UNMADE: "Stripe has probably not created it",
        },
    },
)

TRANSITIONS: Mapping[type[enum.StrEnum], Transitions] = {
    PaymentState: PAYMENT_TRANSITIONS,
    RefundState: REFUND_TRANSITIONS,
    DisputeState: DISPUTE_TRANSITIONS,
    SetupState: SETUP_TRANSITIONS,
}

# -- in the database -------------------------------------------------------------------------------

# By way of JSON, since a session's plan for OLD.state fails once the column has another type.
REFUSE_TRANSITION = """
DECLARE
    before text := to_jsonb(OLD) ->> 'state';
    after text := to_jsonb(NEW) ->> 'state';
BEGIN
    IF before <> after AND before || ' ' || after <> ALL (TG_ARGV) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE =
            TG_TABLE_NAME || ': no transition from ' || before || ' to ' || after;
    END IF;
    RETURN NEW;
END
"""


def trigger(transitions: Transitions, dialect: str) -> tuple[str, ...]:
    """Return the statements by which the database refuses all other changes of a state.

    PostgreSQL refuses to alter the type of a column that a trigger names. So the trigger names
    none, and its function compares the states.
    """
    table = transitions.table
    pairs = ", ".join(f"'{before} {after}'" for before, after in transitions.pairs())
    if dialect == "sqlite":
        return (
            f"CREATE TRIGGER {table}_transitions BEFORE UPDATE OF state ON {table} FOR EACH ROW"
            f" WHEN OLD.state <> NEW.state AND (OLD.state || ' ' || NEW.state) NOT IN ({pairs})"
            f" BEGIN SELECT RAISE(ABORT, '{table}: no such transition of its state'); END",
        )
    return (
        "CREATE OR REPLACE FUNCTION refuse_transition() RETURNS trigger LANGUAGE plpgsql AS"
        f" $${REFUSE_TRANSITION}$$",
        f"CREATE TRIGGER {table}_transitions BEFORE UPDATE ON {table} FOR EACH ROW"
        f" EXECUTE FUNCTION refuse_transition({pairs})",
        # The trigger also fires in a session that a superuser has set to replicate.
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_transitions",
    )


# Shared by the mapped classes and the migration; statements by dialect, in order.
TRIGGERS: Mapping[str, tuple[str, ...]] = {
    dialect: tuple(
        statement
        for transitions in TRANSITIONS.values()
        for statement in trigger(transitions, dialect)
    )
    for dialect in ("sqlite", "postgresql")
}


def guard_states(table: Any) -> None:
    """Have a table created with its trigger."""
    (transitions,) = (one for one in TRANSITIONS.values() if one.table == table.name)
    for dialect in TRIGGERS:
        for statement in trigger(transitions, dialect):
            made = DDL(statement).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", made)
