"""The remedies for records that the writers refuse."""

from billing.entry.errors import EntryError, EntryErrorCode
from billing.imports.context import ClientStopped, ImportContext
from billing.imports.faults import Complaint
from billing.imports.staging import StagedRow

# The columns of fields, if the two have different names.
COLUMNS = {
    "amount_minor": "amount", "fee_minor": "fee", "lines": "id", "unit_price_minor": "unit_price",
}  # fmt: skip
REMEDIES = {
    EntryErrorCode.EXCEEDS_AMOUNT_DUE: "lower the amount",
    EntryErrorCode.EXCEEDS_PAYMENT: "lower the amount",
    EntryErrorCode.INVOICE_IS_VOID: "leave the record out",
    EntryErrorCode.ALREADY_INVOICED: "void the other invoice by voided_on, or leave the line out",
}
CHANGED = "was entered before with other values"
ALREADY_PRINTED = Complaint(
    "is of a document that the portal has given out already", "leave the row out", "ALREADY_PRINTED"
)
# The remedies for records that never change.
SEND_ANEW = {
    "invoice": "void it by voided_on, and send the new one with an id of its own",
    "void": "leave voided_on as it was",
    "payment": "leave it as it was, and send the difference as a record of its own",
    "allocation": "leave it as it was",
    "session": "leave it as it was; a corrected session needs an id of its own",
    "opening_balance": "leave it as it was",
    "document": "leave it as it was: a document is given out as it was at first",
    "superbill": "leave it as it was; a corrected superbill needs an id of its own",
    "refund": "leave it as it was, and send the difference as a record of its own",
    "credit": "leave it as it was, and send the difference as a record of its own",
    "adjustment": "leave it as it was, and send the difference as a record of its own",
}
# The kinds of records without a day in their inputs.
UNDATED = ("credit", "adjustment", "opening_balance")


def refuse_entry(
    context: ImportContext, file: str, row: StagedRow, error: EntryError
) -> ClientStopped:
    """Add the fault of a record that a writer refuses."""
    field = (error.field or "").partition(".")[0]
    column = COLUMNS.get(field, field)
    wrong = str(error).removeprefix(f"{error.field} ").removesuffix(".").lower()
    remedy = REMEDIES.get(error.code, "correct the record")
    return context.refuse(file, row, column if column in row else "", error.code, wrong, remedy)
