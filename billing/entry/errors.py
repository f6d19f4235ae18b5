"""The refusal of an entry, with a code for programs."""

import enum


class EntryErrorCode(enum.StrEnum):
    """Why an entry was refused. Nothing was written."""

    INVALID_VALUE = "INVALID_VALUE"
    NO_SUCH_ROW = "NO_SUCH_ROW"
    ALREADY_INVOICED = "ALREADY_INVOICED"
    INVOICE_IS_VOID = "INVOICE_IS_VOID"
    EXCEEDS_AMOUNT_DUE = "EXCEEDS_AMOUNT_DUE"
    EXCEEDS_FUNDS = "EXCEEDS_FUNDS"
    EXCEEDS_PAYMENT = "EXCEEDS_PAYMENT"
    PAID_BY_CARD = "PAID_BY_CARD"
    PAYMENT_UNDER_WAY = "PAYMENT_UNDER_WAY"
    NUMBER_TAKEN = "NUMBER_TAKEN"
    CHANGED_AFTER_ENTRY = "CHANGED_AFTER_ENTRY"


class EntryError(Exception):
    """An entry that is refused before anything is written. `field` names the wrong input, if any.

    `row_id` is the id of the row that stands in the way, where a caller may need it. The text has
    no value of the input, so that it may be logged.
    """

    def __init__(
        self,
        code: EntryErrorCode,
        message: str,
        field: str | None = None,
        row_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.field, self.row_id = code, field, row_id


def no_such(noun: str, field: str) -> EntryError:
    """Return the error for an id that names no row of this client or practice."""
    return EntryError(EntryErrorCode.NO_SUCH_ROW, f"There is no such {noun} here.", field)
