"""The tables to export: the columns of each file, and its filters, which are the API's own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PAGE = 500


class BadParameter(Exception):
    """An unknown or invalid parameter of the address."""


@dataclass(frozen=True)
class Column:
    """A column of a file. `path` names the API's fields below the list's items."""

    heading: str
    path: str
    is_health: bool = False

    def of(self, node: Any) -> str:
        for name in self.path.split("."):
            node = node[name] if node is not None else None
        return "" if node is None else str(node).lower() if isinstance(node, bool) else str(node)


def health(heading: str, path: str) -> Column:
    return Column(heading, path, is_health=True)


@dataclass(frozen=True)
class Filter:
    """A parameter of the address for an argument of the list. `read` parses its texts."""

    argument: str
    type: str
    read: Callable[[Sequence[str]], Any]


def single(texts: Sequence[str]) -> str:
    if len(texts) != 1:
        raise BadParameter("must be given once")
    return texts[0]


def flag(texts: Sequence[str]) -> bool:
    if single(texts) not in ("true", "false"):
        raise BadParameter("must be true or false")
    return texts[0] == "true"


def text_filter(argument: str, type_: str = "String") -> Filter:
    return Filter(argument, type_, single)


# The two parameters of a date range.
ENDS = {"from": "gte", "to": "lte"}
DATES = Filter("dateRange", "DateRange", single)
REPORTED = Filter("dateRange", "DateRange!", single)


@dataclass(frozen=True)
class ListPage:
    """A page of a list. `after` is the cursor of the next page, if there is one."""

    nodes: Sequence[Any]
    after: str | None


@dataclass(frozen=True)
class Table:
    """A file. `at` names the fields that lead to its connection, or to its list or object."""

    name: str
    at: tuple[str, ...]
    all_columns: tuple[Column, ...]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    is_list: bool = True
    # Constant arguments.
    fixed: str = ""

    def columns(self, *, reads_health: bool) -> list[Column]:
        return [one for one in self.all_columns if reads_health or not one.is_health]

    def variables(self, parameters: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Return the API's arguments from the address."""
        given: dict[str, list[str]] = {}
        for name, value in parameters:
            given.setdefault(name, []).append(value)
        variables: dict[str, Any] = {}
        for name, texts in given.items():
            if name not in self.filters:
                known = ", ".join(self.filters) or "none"
                raise BadParameter(f"there is no parameter {name[:100]!r}; there are: {known}")
            found = self.filters[name]
            try:
                value = found.read(texts)
            except BadParameter as error:
                raise BadParameter(f"{name} {error}") from None
            if name in ENDS:
                variables.setdefault(found.argument, {})[ENDS[name]] = value
            else:
                variables[found.argument] = value
        return variables

    def query(self, columns: Sequence[Column]) -> str:
        """Return the operation for a page of these columns."""
        declared = {one.argument: one.type for one in self.filters.values()}
        given = [f"{name}: ${name}" for name in declared]
        asked = selection([column.path.split(".") for column in columns])
        if self.is_list:
            declared["after"] = "String"
            given += [f"first: {PAGE}, after: $after", self.fixed]
            asked = f"nodes {{ {asked} }} pageInfo {{ hasNextPage endCursor }}"
        arguments = ", ".join(filter(None, given))
        for name in reversed(self.at):
            listed = f"({arguments})" if name == self.at[-1] and arguments else ""
            asked = f"{name}{listed} {{ {asked} }}"
        variables = ", ".join(f"${name}: {type_}" for name, type_ in declared.items())
        return f"query Export{f'({variables})' if variables else ''} {{ {asked} }}"

    def page(self, data: Any) -> ListPage:
        for name in self.at:
            data = data[name]
        if not self.is_list:
            return ListPage(data if isinstance(data, list) else [data], None)
        info = data["pageInfo"]
        return ListPage(data["nodes"], info["endCursor"] if info["hasNextPage"] else None)


def selection(paths: Iterable[Sequence[str]]) -> str:
    """Return the fields of the paths, each once."""
    inner: dict[str, list[Sequence[str]]] = {}
    for first, *rest in paths:
        inner.setdefault(first, []).extend([rest] if rest else [])
    return " ".join(
        f"{name} {{ {selection(rest)} }}" if rest else name for name, rest in inner.items()
    )


TABLES = {
    table.name: table
    for table in (
        Table(
            "invoices",
            ("practice", "invoices"),
            (
                Column("id", "id"),
                Column("number", "number"),
                Column("issued_on", "issuedOn"),
                Column("due_on", "dueOn"),
                Column("status", "status"),
                Column("is_past_due", "isPastDue"),
                Column("total", "total.amount"),
                Column("voided", "voided.amount"),
                Column("written_off", "writtenOff.amount"),
                Column("adjusted", "adjusted.amount"),
                Column("paid", "amountPaid.amount"),
                Column("due", "amountDue.amount"),
                Column("currency", "total.currency"),
                Column("clinician_id", "clinician.id"),
                Column("client_id", "client.id"),
                health("client_name", "client.name"),
            ),
            {
                "from": DATES,
                "to": DATES,
                "status": Filter("status", "[InvoiceStatus!]", list),
                "pastDue": Filter("pastDue", "Boolean", flag),
                "clinicianId": text_filter("clinicianId", "ID"),
                "changedSince": text_filter("changedSince"),
            },
        ),
        Table(
            "payments",
            ("practice", "payments"),
            (
                Column("id", "id"),
                Column("created_on", "createdOn"),
                Column("paid_on", "receipt.paidOn"),
                Column("status", "status"),
                Column("method", "method"),
                Column("amount", "amount.amount"),
                Column("refunded", "refunded.amount"),
                Column("disputed", "disputedAmount.amount"),
                Column("currency", "amount.currency"),
                Column("receipt_number", "receipt.number"),
                Column("client_id", "client.id"),
                health("client_name", "client.name"),
            ),
            {
                "from": DATES,
                "to": DATES,
                "status": Filter("status", "[PaymentStatus!]", list),
                "changedSince": text_filter("changedSince"),
            },
        ),
        Table(
            "ledger",
            ("practice", "ledger"),
            (
                Column("id", "id"),
                Column("posted_on", "postedOn"),
                Column("service_date", "serviceDate"),
                Column("paid_on", "paidOn"),
                Column("kind", "kind"),
                Column("amount", "amount.amount"),
                Column("currency", "amount.currency"),
                Column("invoice_number", "invoice.number"),
                Column("payment_id", "payment.id"),
                Column("client_id", "client.id"),
                health("client_name", "client.name"),
                health("description", "description"),
            ),
            {
                "from": DATES,
                "to": DATES,
                "kind": Filter("kind", "[AccountHistoryKind!]", list),
            },
        ),
        Table(
            "revenue",
            ("practice", "revenue"),
            (
                Column("start", "start"),
                Column("end", "end"),
                Column("invoiced", "invoiced.amount"),
                Column("collected", "collected.amount"),
                Column("refunded", "refunded.amount"),
                Column("charged_back", "chargedBack.amount"),
                Column("written_off", "writtenOff.amount"),
                Column("outstanding_at_end", "outstandingAtEnd.amount"),
                Column("currency", "invoiced.currency"),
            ),
            {
                "from": REPORTED,
                "to": REPORTED,
                "groupBy": text_filter("groupBy", "Period"),
                "clinicianId": text_filter("clinicianId", "ID"),
            },
            is_list=False,
        ),
        Table(
            "aging",
            ("practice", "aging"),
            (
                Column("as_of", "asOf"),
                Column("current", "current.amount"),
                Column("days_1_to_30", "days1To30.amount"),
                Column("days_31_to_60", "days31To60.amount"),
                Column("days_61_to_90", "days61To90.amount"),
                Column("over_90", "over90.amount"),
                Column("total", "total.amount"),
                Column("currency", "total.currency"),
            ),
            {"asOf": text_filter("asOf", "Date"), "clinicianId": text_filter("clinicianId", "ID")},
            is_list=False,
        ),
        Table(
            "clients",
            ("clients",),
            (
                Column("id", "id"),
                Column("balance", "balance.amount.amount"),
                Column("currency", "balance.amount.currency"),
                Column("clinician_id", "clinician.id"),
                Column("archived_on", "archivedOn"),
                health("name", "name"),
                health("email", "email"),
                health("phone", "phone"),
            ),
            {
                "search": text_filter("search"),
                "withBalance": Filter("withBalance", "Boolean", flag),
                "isArchived": Filter("isArchived", "Boolean", flag),
                "changedSince": text_filter("changedSince"),
            },
            fixed="orderBy: {field: CREATED}",
        ),
    )
}
