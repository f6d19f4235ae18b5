"""Random mutations: entries by the practices' programs, and changes by people who signed in."""

import random
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from models import (
    Client,
    Clinician,
    Invoice,
    Payment,
    PaymentMethod,
    Practice,
    Row,
    Session,
    Statement,
    Superbill,
    Token,
)
from tests.answers.servers import Server
from tests.support.factories import table
from tests.support.programs import key, mutation
from tests.support.sign_in import SIGN_OUT

Input = dict[str, Any]
# Tables with rows that mutations name, and the prefixes of their ids.
NAMED: dict[str, type[Row]] = {
    "cli": Client, "inv": Invoice, "pmt": Payment, "ses": Session, "cln": Clinician,
    "stm": Statement, "sbl": Superbill, "crd": PaymentMethod, "sgn": Token,
}  # fmt: skip
AMOUNTS = ("1.00", "25.00", "0.50", "100.00")


def random_key(chance: random.Random) -> str:
    """Return a key that is new, and that no digits make look like a card number."""
    return f"key-{uuid.UUID(int=chance.getrandbits(128), version=4)}"


class ApiWriter:
    """A writer by mutations, over any of the servers."""

    def __init__(self, engine: AsyncEngine, chance: random.Random, secrets: dict[str, str]) -> None:
        self.engine, self.chance, self.secrets = engine, chance, secrets
        self.told: Counter[str] = Counter()

    async def write(self, server: Server) -> str:
        """Send a random mutation, and return it in words."""
        if self.chance.random() < 0.15:
            return await self.personal(server)
        who = self.chance.choice([one for one in self.secrets if one.endswith(" integration")])
        ids = await self.ids(who.partition(" ")[0])
        field, make = self.chance.choice([*ENTRIES.items()])
        given = make(self, ids)
        if field not in WITHOUT_KEY:
            given["externalId"] = key(random_key(self.chance))
        variables = {"i": given}
        response = await server.send(mutation(field), self.secrets[who], variables=variables)
        answer = response.json()
        entered = (answer.get("data") or {}).get(field) or {}
        result = entered.get("change") or entered.get("code") or "refused"
        self.told[f"{field} {result}"] += 1
        return f"{who}: {field} {given}: {result}"

    async def personal(self, server: Server) -> str:
        """End a sign-in, or make another card the default."""
        who = self.chance.choice([one for one in self.secrets if " client " in one])
        ids = await self.ids(who.partition(" ")[0])
        query, variables = self.chance.choice(
            [
                (SIGN_OUT, {}),
                (PERSONAL["makeDefault"], {"id": self.one(ids, "crd")}),
                (PERSONAL["removeCard"], {"id": self.one(ids, "crd")}),
                (PERSONAL["revokeSignIn"], {"id": self.one(ids, "sgn")}),
            ]
        )
        answer = await server.send(query, self.secrets[who], variables=variables)
        self.told[query[:30]] += answer.status_code == 200
        return f"{who}: {query} {variables}: {answer.text[:120]}"

    async def ids(self, currency: str) -> dict[str, list[str]]:
        """Return the ids of a practice's rows, by their prefix."""
        found = {}
        of = select(Practice.id).where(Practice.currency == currency)
        async with self.engine.connect() as conn:
            practice_id = await conn.scalar(of.order_by(Practice.id).limit(1))
            for prefix, model in NAMED.items():
                columns = table(model).c
                rows = select(columns.id).where(columns.practice_id == practice_id)
                ids = await conn.scalars(rows.order_by(columns.id))
                found[prefix] = [f"{prefix}_{id_}" for id_ in ids]
        self.currency = currency
        return found

    def one(self, ids: dict[str, list[str]], prefix: str) -> str:
        return self.chance.choice(ids[prefix]) if ids[prefix] else f"{prefix}_{UNKNOWN}"

    def reference(self, ids: dict[str, list[str]], prefix: str) -> Input:
        return {"id": self.one(ids, prefix)}

    def money(self) -> Input:
        amount = self.chance.choice(AMOUNTS)
        return {
            "amount": amount.partition(".")[0] if self.currency == "JPY" else amount,
            "currency": self.currency,
        }

    def day(self) -> str:
        return f"2026-0{self.chance.randint(1, 3)}-{self.chance.randint(10, 14)}"


UNKNOWN = "00000000-0000-4000-8000-000000000000"
PERSONAL = {
    "makeDefault": "mutation M($id: ID!) { makeDefault(input: {paymentMethodId: $id})"
    " { __typename } }",
    "removeCard": "mutation R($id: ID!) { removeCard(input: {paymentMethodId: $id})"
    " { __typename } }",
    "revokeSignIn": "mutation V($id: ID!) { revokeSignIn(input: {id: $id}) { __typename } }",
}
WITHOUT_KEY = {
    "archiveClient",
    "restoreClient",
    "mergeClients",
    "shareDocument",
    "unlinkContact",
    "voidInvoice",
}
PERIOD = {"periodStart": "2026-01-01", "periodEnd": "2026-02-28", "isShared": True}
Make = Callable[[ApiWriter, dict[str, list[str]]], Input]
ENTRIES: dict[str, Make] = {
    "recordSession": lambda w, ids: {
        "client": w.reference(ids, "cli"),
        "date": w.day(),
        "description": "Session",
        "fee": w.money(),
    },
    "issueInvoice": lambda w, ids: {
        "client": w.reference(ids, "cli"),
        "lines": [{"description": "Session", "unitPrice": w.money()}],
        "isShared": w.chance.random() < 0.8,
    },
    "giveCredit": lambda w, ids: {
        "client": w.reference(ids, "cli"),
        "amount": w.money(),
        "description": "Courtesy",
    },
    "recordPayment": lambda w, ids: {
        "client": w.reference(ids, "cli"),
        "amount": w.money(),
        "method": "CASH",
    },
    "recordRefund": lambda w, ids: {
        "payment": w.reference(ids, "pmt"),
        "amount": w.money(),
        "description": "Refund",
    },
    "allocateCredit": lambda w, ids: {"invoice": w.reference(ids, "inv"), "amount": w.money()},
    "adjustInvoice": lambda w, ids: {
        "invoice": w.reference(ids, "inv"),
        "amount": w.money(),
        "description": "Adjusted",
    },
    "writeOff": lambda w, ids: {"invoice": w.reference(ids, "inv")},
    "voidInvoice": lambda w, ids: {"invoice": w.reference(ids, "inv")},
    "issueStatement": lambda w, ids: {"client": w.reference(ids, "cli"), **PERIOD},
    "issueSuperbill": lambda w, ids: {
        "client": w.reference(ids, "cli"),
        "clinician": w.reference(ids, "cln"),
        "diagnoses": [],
        "modifiers": [],
        **PERIOD,
    },
    "shareDocument": lambda w, ids: w.chance.choice(
        [
            {"invoice": w.reference(ids, "inv")},
            {"statement": w.reference(ids, "stm")},
            {"superbill": w.reference(ids, "sbl")},
        ]
    ),
    "archiveClient": lambda w, ids: {"client": w.reference(ids, "cli")},
    "restoreClient": lambda w, ids: {"client": w.reference(ids, "cli")},
    "upsertClient": lambda w, ids: {"name": w.chance.choice(["Zoë", "Ana"]), "email": None},
    "linkContact": lambda w, ids: {
        "client": w.reference(ids, "cli"),
        "name": "Pat",
        "relation": "PARENT",
        "seesDocuments": True,
        "canPay": True,
    },
    "unlinkContact": lambda w, ids: {"client": w.reference(ids, "cli"), "contact": key("p")},
    "mergeClients": lambda w, ids: {
        "client": w.reference(ids, "cli"),
        "into": w.reference(ids, "cli"),
    },
}
