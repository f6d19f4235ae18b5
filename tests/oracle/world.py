"""The rows of a database as Python objects, and the part visible to one viewer."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from graphql import GraphQLError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from models import Client, ContactRight, Practice, Row, Token, ViewerKind

# The kinds of viewers that see the whole practice.
PROGRAMS = (ViewerKind.DASHBOARD, ViewerKind.INTEGRATION)


class Tables:
    """All rows of all tables."""

    def __init__(self, rows: dict[type[Row], list[Any]]) -> None:
        self.rows = rows
        self.groups: dict[Any, dict[Any, list[Any]]] = {}

    def where(self, model: type[Row], **columns: Any) -> list[Any]:
        """Return the rows with these values in these columns."""
        group = (model, tuple(columns))
        if group not in self.groups:
            self.groups[group] = defaultdict(list)
            for row in self.rows[model]:
                self.groups[group][tuple(getattr(row, name) for name in columns)].append(row)
        return self.groups[group].get(tuple(columns.values()), [])


async def read(engine: AsyncEngine) -> Tables:
    models = [mapper.class_ for mapper in Row.registry.mappers]
    async with engine.connect() as conn:
        found = {model: await conn.execute(select(model.__table__)) for model in models}
        return Tables({model: list(rows) for model, rows in found.items()})


@dataclass
class World:
    """The rows of the viewer's practice, and the visible clients. `now` is in UTC."""

    tables: Tables
    token_id: str
    now: dt.datetime

    def __post_init__(self) -> None:
        (self.token,) = self.tables.where(Token, id=self.token_id)
        self.practice_id = self.token.practice_id
        (self.practice,) = self.tables.where(Practice, id=self.practice_id)
        # The day in the practice's time zone.
        self.today = self.now.astimezone(ZoneInfo(self.practice.time_zone)).date()

    def where(self, model: type[Row], **columns: Any) -> list[Any]:
        """Return rows of the practice."""
        return self.tables.where(model, practice_id=self.practice_id, **columns)

    def by_id(self, model: type[Row], id_: str | None) -> Any:
        return next(iter(self.where(model, id=id_)), None)

    # -- visibility --------------------------------------------------------------------------------

    def right(self, client_id: str) -> Any:
        """Return a contact's right to a client, if they are linked and its last day is not over."""
        found = self.where(ContactRight, contact_id=self.token.contact_id, client_id=client_id)
        lasting = [one for one in found if one.until is None or self.today <= one.until]
        return next(iter(lasting), None)

    def sees(self, client_id: str) -> bool:
        """Return whether the client is one of the viewer's."""
        if self.token.kind is ViewerKind.CONTACT:
            return self.right(client_id) is not None
        return self.token.kind in PROGRAMS or self.token.client_id == client_id

    def opens(self, client_id: str) -> bool:
        """Return whether the viewer may read the client's bills."""
        if self.token.kind is ViewerKind.CONTACT:
            right = self.right(client_id)
            return right is not None and right.sees_documents
        return self.sees(client_id)

    def reads(self, document: Any) -> bool:
        """Return whether a document is visible; unshared ones are visible to the practice alone."""
        shared = document.shared_at is not None or self.token.kind in PROGRAMS
        return shared and self.opens(document.client_id)

    def holds(self, row: Any) -> bool:
        """Return whether a card or a payment is the viewer's own."""
        if self.token.kind is ViewerKind.CONTACT:
            return bool(row.contact_id == self.token.contact_id)
        return self.token.kind is ViewerKind.CLIENT and row.contact_id is None

    def payer(self, row: Any) -> str:
        """Return whose card or payment it is."""
        if self.holds(row):
            return "VIEWER"
        return "CLIENT" if row.contact_id is None else "CONTACT"

    def sees_payment(self, row: Any) -> bool:
        """Return whether a payment or a receipt is visible: everybody's with the right to bills."""
        return self.opens(row.client_id) or (self.sees(row.client_id) and self.holds(row))

    def sees_card(self, card: Any) -> bool:
        """Return whether a card is visible: the viewer's own, or one that its holder shares."""
        if self.token.kind in PROGRAMS:
            return True
        shared = card.is_shared and self.holder_may_pay(card)
        return self.may_pay(card.client_id) and (self.holds(card) or shared)

    def holder_may_pay(self, card: Any) -> bool:
        """Return whether the holder of a card still may pay for its client."""
        if card.contact_id is None:
            return True
        rights = self.where(ContactRight, contact_id=card.contact_id, client_id=card.client_id)
        return any(one.can_pay and (one.until or self.today) >= self.today for one in rights)

    def may_pay(self, client_id: str) -> bool:
        if self.token.kind is ViewerKind.CONTACT:
            return self.sees(client_id) and self.right(client_id).can_pay
        return self.token.kind is ViewerKind.CLIENT and self.sees(client_id)

    def clients(self) -> list[Any]:
        return by_id(client for client in self.where(Client) if self.sees(client.id))


def by_id(rows: Iterable[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: row.id)


def snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)


def refusal(code: str) -> GraphQLError:
    return GraphQLError(code, extensions={"code": code})
