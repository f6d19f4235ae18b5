"""Refusals of entries as errors of the schema, with the path to the wrong input field."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from billing import errors as billing
from billing.entry.errors import EntryError, EntryErrorCode
from resolvers.mutations.result import Outcome, catch_user_errors

TYPES: dict[EntryErrorCode, type[billing.UserError]] = {
    EntryErrorCode.INVALID_VALUE: billing.InvalidInputError,
    EntryErrorCode.NO_SUCH_ROW: billing.NotFoundError,
    EntryErrorCode.ALREADY_INVOICED: billing.AlreadyInvoicedError,
    EntryErrorCode.INVOICE_IS_VOID: billing.InvoiceIsVoidError,
    EntryErrorCode.EXCEEDS_AMOUNT_DUE: billing.ExceedsAmountDueError,
    EntryErrorCode.EXCEEDS_FUNDS: billing.ExceedsFundsError,
    EntryErrorCode.EXCEEDS_PAYMENT: billing.ExceedsPaymentError,
    EntryErrorCode.PAID_BY_CARD: billing.PaidByCardError,
    EntryErrorCode.NUMBER_TAKEN: billing.NumberTakenError,
    EntryErrorCode.CHANGED_AFTER_ENTRY: billing.ChangedAfterEntryError,
}
# Fields of the writers' inputs that have another name in the schema.
RENAMED = {"external_id": ("externalId",), "practice_id": ()}
# The writers name the unit of a value and the kind of a reference in the field's name.
SUFFIXES = ("_minor", "_hundredths", "_id")


def entry_refusal(error: EntryError, path: Sequence[str]) -> billing.UserError:
    """Return the schema's error for a refused entry with its input at a path."""
    if error.code is EntryErrorCode.PAYMENT_UNDER_WAY:
        assert error.row_id is not None
        return billing.PaymentInProgressError(error.row_id)
    names = path_of(error.field) if error.field else ()
    return TYPES[error.code](str(error), (*path, *names) if names else None)


def path_of(field: str) -> Sequence[str]:
    """Return the path in the schema's input to a field of a writer's input."""
    if field in RENAMED:
        return RENAMED[field]
    return [camel_case(name) for name in field.split(".")]


def camel_case(name: str) -> str:
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


@contextmanager
def at(*path: str) -> Iterator[None]:
    """Turn the refusal of a value in this context into an error about a field under the path."""
    try:
        yield
    except EntryError as error:
        raise entry_refusal(error, path) from None


async def catch_entry_errors(do: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Make an entry and return its outcome. A refusal becomes an outcome too."""

    async def enter() -> Outcome:
        with at("input"):
            return await do()

    return await catch_user_errors(enter)
