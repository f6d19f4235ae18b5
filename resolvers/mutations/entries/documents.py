"""Entries about statements and superbills, and the sharing of documents."""

from collections.abc import Sequence

from billing.entry.documents import SharedDocument, share_document
from billing.entry.rows import EntryChange
from billing.entry.statements import StatementPeriod, issue_statement
from billing.entry.superbills import SuperbillRequest, issue_superbill
from billing.errors import InvalidInputError
from models import DocumentKind
from resolvers.mutations.entries.inputs import (
    DiagnosisRecord,
    DocumentChoice,
    RecordReference,
    StatementRecord,
    SuperbillRecord,
)
from resolvers.mutations.entries.making import INPUT, Made, enter_record, entries_of, entry
from resolvers.mutations.entries.references import (
    CLINICIAN,
    INVOICE,
    STATEMENT,
    SUPERBILL,
    RecordKind,
    owned_row,
    row_id,
)
from resolvers.mutations.result import MutationContext, Outcome

KINDS = {
    DocumentKind.INVOICE: INVOICE,
    DocumentKind.STATEMENT: STATEMENT,
    DocumentKind.SUPERBILL: SUPERBILL,
}


@entry
async def enter_statement(mutation: MutationContext, input: StatementRecord) -> Outcome:
    """Issue a statement of a period that has ended."""
    wanted = StatementPeriod(input.period_start, input.period_end, input.is_shared)
    made = await enter_record(mutation, input, issue_statement, wanted)
    return made.outcome("StatementEntered", statement_id=made.row_id)


@entry
async def enter_superbill(mutation: MutationContext, input: SuperbillRecord) -> Outcome:
    """Issue a superbill with the sessions of a period."""
    wanted = SuperbillRequest(
        first=input.period_start,
        last=input.period_end,
        clinician_id=await row_id(mutation, CLINICIAN, input.clinician, (*INPUT, "clinician")),
        diagnoses=diagnoses_by_code(input.diagnoses),
        place_of_service=input.place_of_service,
        modifiers=tuple(input.modifiers),
        is_shared=input.is_shared,
    )
    made = await enter_record(mutation, input, issue_superbill, wanted)
    return made.outcome("SuperbillEntered", superbill_id=made.row_id)


def diagnoses_by_code(diagnoses: Sequence[DiagnosisRecord]) -> dict[str, str | None]:
    """Return the descriptions of diagnoses by their codes, in the given order."""
    described: dict[str, str | None] = {}
    for number, diagnosis in enumerate(diagnoses):
        if diagnosis.code in described:
            path = (*INPUT, "diagnoses", str(number), "code")
            raise InvalidInputError("The diagnosis is listed twice.", path)
        described[diagnosis.code] = diagnosis.description
    return described


@entry
async def share(mutation: MutationContext, input: DocumentChoice) -> Outcome:
    """Share a document that was issued unshared. One that is shared stays as it is."""
    kind, reference = chosen_document(input)
    record_kind: RecordKind = KINDS[kind]
    row = await owned_row(mutation, record_kind, reference, (*INPUT, record_kind.name))
    change = EntryChange.UNCHANGED
    if not row.is_shared:
        async with entries_of(mutation, row.client_id) as entries:
            await entries.enter(share_document, SharedDocument(kind, row.id))
        change = EntryChange.CHANGED
    made = Made(mutation, row.client_id, row.id, change)
    return made.outcome(f"{kind.capitalize()}Entered", **{f"{record_kind.name}_id": row.id})


def chosen_document(input: DocumentChoice) -> tuple[DocumentKind, RecordReference]:
    """Return the kind of the document that an input names, and its reference."""
    for kind, record_kind in KINDS.items():
        present = getattr(input, record_kind.name)
        if present is not None and present.value is not None:
            return kind, present.value
    raise InvalidInputError("Pass an invoice, a statement or a superbill.", INPUT)
