"""Superbills, which clients send to their insurers."""

import datetime as dt

import strawberry

import models
from billing.superbills import SuperbillGapCode
from graph.fields import column, field
from graph.node import Node, identity
from graph.scalars import Decimal
from graph.types.document import DocumentLink, document_field
from graph.types.invoice import Session, session
from graph.types.money import Money, money_field
from graph.types.payment import LazyClient, client
from graph.types.provider import Provider, provider_field
from planner.sources import Embedded, ToMany, ToOne, Value
from planner.sql_text import exact_decimal
from planner.tables import RowOf
from resolvers import superbills
from resolvers.field_facts import BILLING, PHI, Cost, needs
from resolvers.money import Amount


@needs(PHI)
@strawberry.type(description="A visit, with the details that an insurer requires.")
class SuperbillLine:
    date: dt.date = column(models.SuperbillLine.date, "The day of the visit.")
    place_of_service: str | None = column(
        models.SuperbillLine.place_of_service,
        "The two-digit CMS place of service code: 11 for an office, 10 for video in the client's"
        " home.",
    )
    cpt_code: str | None = column(models.SuperbillLine.cpt_code, "The CPT code of the procedure.")
    modifiers: list[str] = column(models.SuperbillLine.modifiers, "Two-character CPT modifiers.")
    units: Decimal = field(
        Value[RowOf[models.SuperbillLine]](lambda line: exact_decimal(line.c.units_hundredths, 2)),
        description="The number of units.",
    )
    diagnosis_pointers: list[int] = column(
        models.SuperbillLine.diagnosis_pointers,
        "Positions of the diagnoses that the visit was for.",
    )
    fee: Money = money_field(
        models.SuperbillLine.fee_minor, "The fee of the visit.", scopes=BILLING
    )
    paid: Money = money_field(
        models.SuperbillLine.paid_minor,
        "The amount paid for the visit at the time of issue.",
        scopes=BILLING,
    )
    session: Session | None = session


@needs(PHI)
@strawberry.type(description="A diagnosis that lines refer to.")
class Diagnosis:
    position: int = column(
        models.SuperbillDiagnosis.position, "The position on the superbill, starting at 1."
    )
    code: str = column(models.SuperbillDiagnosis.code, "The ICD-10-CM code.")
    description: str | None = column(
        models.SuperbillDiagnosis.description, "The diagnosis in words."
    )


@needs(PHI)
@strawberry.type(description="Information that an insurer requires and the superbill lacks.")
class SuperbillGap:
    code: SuperbillGapCode = field(
        Value[RowOf[superbills.Gap]](lambda gap: gap.c.code),
        description="The kind of missing information.",
    )
    line: int | None = field(
        Value[RowOf[superbills.Gap]](lambda gap: gap.c.line),
        description="The number of the line, starting at 1; null if the information does not"
        " belong to a line.",
    )
    message: str = field(
        Value[RowOf[superbills.Gap]](lambda gap: gap.c.message),
        description="A description of the missing information.",
    )


@needs(PHI)
@strawberry.type(description="Whether a superbill has all information that an insurer requires.")
class Completeness:
    is_complete: bool = field(
        Value[superbills.SuperbillRow](lambda superbill: superbill.is_complete),
        description="Whether nothing is missing.",
        cost=Cost(selects=10),
    )
    missing: list[SuperbillGap] = field(
        ToMany(superbills.gaps),
        description="The missing information: first that of the header, then line by line.",
        cost=Cost(selects=11),
    )


@needs(BILLING)
@strawberry.type(description="A statement for insurance reimbursement, frozen when issued.")
class Superbill(Node):
    id: strawberry.ID = identity("sbl")
    number: str = column(
        models.Superbill.number,
        "The number as printed, unique in the practice: `SB-2026-0042`.",
        scopes=BILLING,
    )
    client: LazyClient = client
    provider: Provider = provider_field(scopes=PHI)
    rendering_provider: Provider | None = field(
        ToOne(superbills.rendering_provider),
        description="The provider who held the visits, as printed; null if the issuer did.",
        scopes=PHI,
        cost=Cost(nesting=0),
    )
    issued_on: dt.date = column(models.Superbill.issued_on, "The day of issue.")
    period_start: dt.date = column(models.Superbill.period_start, "The first day of the period.")
    period_end: dt.date = column(models.Superbill.period_end, "The last day of the period.")
    lines: list[SuperbillLine] = field(
        ToMany(superbills.superbill_lines), description="The visits, in printed order."
    )
    diagnoses: list[Diagnosis] = field(
        ToMany(superbills.diagnoses), description="The diagnoses, by position."
    )
    completeness: Completeness = field(
        Embedded[superbills.SuperbillRow](lambda superbill: superbill),
        description="Whether the superbill has all information that an insurer requires, and a"
        " list of the gaps.",
    )
    total_fee: Money = field(
        Embedded[superbills.SuperbillRow](lambda bill: Amount(bill.totals["fee"])),
        description="The fees of all visits.",
        cost=Cost(selects=3),
    )
    total_paid: Money = field(
        Embedded[superbills.SuperbillRow](lambda bill: Amount(bill.totals["paid"])),
        description="The amount paid for the visits at the time of issue.",
        cost=Cost(selects=3),
    )
    document: DocumentLink = document_field("sbl")
