"""Superbills: what a client sends to an insurer."""

import datetime as dt

import strawberry

from billing.superbills import SuperbillGapCode
from graph.document import DocumentLink, document
from graph.invoice import Session, session
from graph.money import Money, money
from graph.node import Node, identity
from graph.payment import LazyClient, client
from graph.provider import Provider, provider
from graph.scalars import Decimal
from resolvers import superbills
from resolvers.money import Amount
from resolvers.planner.sources import Many, Part, Value, column, field
from resolvers.planner.texts import decimal


@strawberry.type(description="A visit, as an insurer asks for it.")
class SuperbillLine:
    date: dt.date = column("date", "The day of the visit.")
    place_of_service: str | None = column(
        "place_of_service", "CMS code of two digits: 11 an office, 10 the client's home by video."
    )
    cpt_code: str | None = column("cpt_code", "The procedure, in CPT.")
    modifiers: list[str] = column("modifiers", "CPT modifiers of two characters.")
    units: Decimal = field(
        Value(lambda line: decimal(line.c.units_hundredths, 2)), description="How many units."
    )
    diagnosis_pointers: list[int] = column(
        "diagnosis_pointers", "Positions of the diagnoses that the visit was for."
    )
    fee: Money = money("fee_minor", "The fee of the visit.")
    paid: Money = money("paid_minor", "What was paid of it at issue.")
    session: Session | None = session


@strawberry.type(description="A diagnosis that lines point to.")
class Diagnosis:
    position: int = column("position", "Its place on the superbill, from 1.")
    code: str = column("code", "ICD-10-CM.")
    description: str | None = column("description", "In words.")


@strawberry.type(description="Something that an insurer would miss.")
class SuperbillGap:
    code: SuperbillGapCode = field(Value(lambda gap: gap.c.code), description="What it is.")
    line: int | None = field(
        Value(lambda gap: gap.c.line), description="The line, from 1; null: it is of no line."
    )
    message: str = field(Value(lambda gap: gap.c.message), description="In words.")


@strawberry.type(description="Whether an insurer can work with a superbill.")
class Completeness:
    is_complete: bool = field(
        Value(lambda superbill: superbill.is_complete), description="Whether nothing is missing."
    )
    missing: list[SuperbillGap] = field(
        Many(superbills.gaps), description="What is missing: of the head first, then line by line."
    )


@strawberry.type(description="A statement for insurance reimbursement, frozen when issued.")
class Superbill(Node):
    id: strawberry.ID = identity("sbl")
    number: str = column("number", "As printed, unique in the practice: `SB-2026-0042`.")
    client: LazyClient = client
    provider: Provider = provider
    issued_on: dt.date = column("issued_on", "The day of issue.")
    period_start: dt.date = column("period_start", "The first day of the period.")
    period_end: dt.date = column("period_end", "The last day of the period.")
    lines: list[SuperbillLine] = field(
        Many(superbills.lines), description="The visits, in the order as printed."
    )
    diagnoses: list[Diagnosis] = field(Many(superbills.diagnoses), description="By their position.")
    completeness: Completeness = field(
        Part(lambda superbill: superbill),
        description="Whether an insurer can work with it, and what is missing.",
    )
    total_fee: Money = money(lambda bill: Amount(bill.totals["fee"]), "The fees of all visits.")
    total_paid: Money = money(
        lambda bill: Amount(bill.totals["paid"]), "What was paid of them at issue."
    )
    document: DocumentLink = document("sbl")
