"""The entries of one client's records: each once, with its number, its links and its reference."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from billing.document_numbers import KINDS, Serial
from billing.entry.client_ledger import ClientMaker, enter_in_memory
from billing.entry.errors import EntryError, EntryErrorCode
from billing.entry.external_ids import Content, content_of
from billing.entry.numbering import give_number, new_documents
from billing.entry.rows import Insertion, Operation
from billing.entry.writing import chained_rows
from billing.imports.accounts import ClientAccount
from billing.imports.client_records import ClientRecords
from billing.imports.context import DayStamps, ImportContext, as_change
from billing.imports.layouts import BY_NAME
from billing.imports.remedies import CHANGED, SEND_ANEW, UNDATED, refuse_entry
from billing.imports.staging import StagedRow
from models import ChainLink, Receipt


class RecordEntries:
    """The entries of one client. The ledger is needed only if a record is new."""

    def __init__(
        self,
        context: ImportContext,
        records: ClientRecords,
        account: ClientAccount,
    ) -> None:
        self.context, self.records, self.account = context, records, account
        self.ledger, self.client_row_id = account.ledger, account.row_id
        self.stamps = DayStamps(context, account.first_day)
        self.ids: dict[tuple[str, str], str] = {}
        # The receipts by the ids of their payments.
        self.receipts = dict(account.receipts)
        self.is_changed = False

    def attempt(self, file: str, row: StagedRow, enter: Callable[[StagedRow], None]) -> None:
        """Enter a record. A refusal of the writers becomes a fault of the record."""
        try:
            enter(row)
        except EntryError as error:
            raise refuse_entry(self.context, file, row, error) from None

    def enter(
        self,
        file: str,
        row: StagedRow,
        day: dt.date,
        maker: ClientMaker[Any],
        wanted: Any,
        entered: Any = None,
    ) -> bool:
        """Enter a record, unless it was entered before. Return whether it was entered now.

        `entered` takes the place of the input, where a payment is allocated by other records.
        """
        kind = BY_NAME[file].kind
        content = content_of(kind, self.client_row_id, wanted, *self.undated_day(kind, day))
        others = content_of(kind, self.client_row_id, wanted), self.matched(kind, row["row_id"])
        digests = [one.digest for one in others]
        if self.is_known(file, "", row, content, row["row_id"], row["digest"], *digests):
            self.ids[kind, row["id"]] = row["row_id"]
            self.context.count(file, "same")
            return False
        row_id = self.make(row, day, maker, entered or wanted)
        self.ids[kind, row["id"]] = row_id
        self.refer(content, row["id"], row_id)
        self.context.count(file, "new")
        return True

    def match(self, file: str, row: StagedRow, row_id: str) -> None:
        """Note the portal's own row for a record that is never entered."""
        kind = BY_NAME[file].kind
        self.ids[kind, row["id"]] = row_id
        self.refer(self.matched(kind, row_id), row["id"], row_id)
        self.context.count(file, "same")

    def matched(self, kind: str, row_id: str | None) -> Content:
        return content_of(kind, self.client_row_id, "portal", row_id)

    def undated_day(self, kind: str, day: dt.date) -> tuple[dt.date, ...]:
        """Return the day if the inputs of this kind have none."""
        return (day,) if kind in UNDATED else ()

    def is_known(
        self,
        file: str,
        column: str,
        row: StagedRow,
        content: Content,
        row_id: str | None,
        digest: str | None,
        *others: str,
    ) -> bool:
        """Return whether a record was entered before. Refuse one that has changed since.

        `others` are digests of the same record without its day, as a mutation has entered it, and
        of a record of the portal's own payments.
        """
        if row_id is not None and digest not in (content.digest, *others):
            code, remedy = EntryErrorCode.CHANGED_AFTER_ENTRY, SEND_ANEW[content.kind]
            raise self.context.refuse(file, row, column, code, CHANGED, remedy)
        return row_id is not None

    def make(self, row: StagedRow, day: dt.date, maker: ClientMaker[Any], wanted: Any) -> str:
        """Make an entry in the ledger, and return the id of its main row."""
        assert self.ledger is not None
        row_id, operations = enter_in_memory(self.ledger, self.stamps.of(day), maker, wanted)
        self.add(operations, row.get("serial"))
        return row_id

    def add(self, operations: list[Operation], serial: int | None = None) -> None:
        """Number and link the rows of an entry, and keep them to be written."""
        for document in new_documents(operations):
            assert serial is not None
            if document.table is Receipt:
                self.receipts[document.values["payment_id"]] = document.values["id"]
            give_number(document, Serial(serial, self.context.prefixes[KINDS[document.table]]))
        context, self.is_changed = self.context, True
        context.operations += operations
        if not self.account.is_new:
            context.touched.add(operations)
        for one in chained_rows(operations):
            assert self.account.chain is not None
            link = self.account.chain.link(one, context.now)
            context.operations.append(Insertion(ChainLink, link))

    def refer(
        self, content: Content, external_id: str, row_id: str, *, is_new: bool = True
    ) -> None:
        reference = self.context.reference(content, external_id, row_id)
        self.context.operations.append(reference if is_new else as_change(reference))
