"""A program of a practice, which enters data by mutations."""

from collections.abc import Mapping
from typing import Any

from identity.tokens import Subject
from models import READ_SCOPES, Scope
from tests.support.entries import EntryDesk
from tests.support.portal import Portal

EVERYTHING = READ_SCOPES | {Scope.BILLING_WRITE}
SOURCE = "ehr"


class Program:
    """An integration of a practice that has one clinician and one client."""

    def __init__(self, portal: Portal, desk: EntryDesk, token: str) -> None:
        self.portal, self.desk, self.token = portal, desk, token

    @classmethod
    async def of_new_practice(
        cls, portal: Portal, seed: int, scopes: frozenset[Scope] = EVERYTHING
    ) -> "Program":
        desk = await EntryDesk(portal.engine, seed).open()
        token = await portal.token(Subject(desk.practice_id), scopes=scopes)
        return cls(portal, desk, token)

    async def with_scopes(self, *scopes: Scope) -> "Program":
        """Return another program of the same practice."""
        subject = Subject(self.desk.practice_id)
        token = await self.portal.token(subject, scopes=frozenset(scopes))
        return Program(self.portal, self.desk, token)

    @property
    def client(self) -> dict[str, Any]:
        """Return the reference of the practice's client."""
        return {"id": f"cli_{self.desk.client_id}"}

    async def answer(self, query: str, **variables: Any) -> dict[str, Any]:
        response = await self.portal.ask(query, self.token, **variables)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def enter(self, field: str, input: Mapping[str, Any], select: str = "") -> dict[str, Any]:
        """Send a mutation, and return the object that it answers."""
        answer = await self.answer(mutation(field, select), i=input)
        assert "errors" not in answer, answer
        entered: dict[str, Any] = answer["data"][field]
        return entered


def mutation(field: str, select: str = "") -> str:
    """Return the operation with one mutation, which selects the change or the refusal."""
    type_ = f"{field[0].upper()}{field[1:]}Input"
    common = "__typename ... on Entry { change } ... on UserError { code message path }"
    return f"mutation Enter($i: {type_}!) {{ {field}(input: $i) {{ {common} {select} }} }}"


def key(id_: str) -> dict[str, str]:
    """Return the key of a record of the program's system."""
    return {"source": SOURCE, "id": id_}


def money(amount: str, currency: str = "USD") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def invoice(program: Program, id_: str, *prices: str, **more: Any) -> dict[str, Any]:
    lines = [{"description": "Session", "unitPrice": money(price)} for price in prices]
    return {"externalId": key(id_), "client": program.client, "lines": lines} | more


def payment(program: Program, id_: str, amount: str, **more: Any) -> dict[str, Any]:
    own = {"externalId": key(id_), "client": program.client, "amount": money(amount)}
    return {**own, "method": "CASH", **more}


def external(id_: str) -> dict[str, Any]:
    return {"externalId": key(id_)}


async def refused(
    program: Program, field: str, input: Mapping[str, Any], type_: str, path: str | None
) -> None:
    answer = await program.enter(field, input)
    names = answer["path"] and ".".join(answer["path"])
    assert (answer["__typename"], names) == (type_, path), answer
