"""Viewers: the token is looked up with each request."""

import datetime as dt
from dataclasses import dataclass

from graphql import GraphQLError

from identity.token_keys import hashed
from identity.tokens import is_well_formed

# The parameter is written as each driver wants it.
LOOK_UP = """
SELECT t.kind, t.practice_id::text, t.client_id::text, t.scopes, p.currency,
    p.stripe_account IS NOT NULL, (now() AT TIME ZONE p.time_zone)::date
FROM public.token t JOIN public.practice p ON p.id = t.practice_id
WHERE t.hash = {hash} AND t.revoked_at IS NULL AND t.expires_at > now()
    AND (NOT t.is_sign_in OR t.last_used_at > now() - interval '15 minutes')
    AND t.kind IN ('CLIENT', 'DASHBOARD')
"""
# The settings of the other peers' connections. The views come before the tables of the same names.
SETTINGS = {
    "search_path": "postgraphile,public",
    "jit": "off",
    "default_transaction_read_only": "on",
    "statement_timeout": "10000",
    "plan_cache_mode": "force_generic_plan",
}
CONNECTIONS = 10


@dataclass(frozen=True)
class Viewer:
    """The holder of a token: a client, or (without one) a dashboard of the practice."""

    kind: str
    practice_id: str
    client_id: str | None
    scopes: frozenset[str]
    currency: str
    takes_cards: bool
    today: dt.date

    @classmethod
    def of_row(
        cls,
        kind: str,
        practice_id: str,
        client_id: str | None,
        scopes: list[str],
        currency: str,
        takes_cards: bool,
        today: dt.date,
    ) -> "Viewer":
        return cls(kind, practice_id, client_id, frozenset(scopes), currency, takes_cards, today)

    @property
    def is_client(self) -> bool:
        return self.client_id is not None

    def needs(self, *scopes: str) -> None:
        for scope in scopes:
            if scope not in self.scopes:
                raise GraphQLError(f"this needs {scope}")


def token_hash(authorization: str, key: str) -> str | None:
    """Return the stored form of the token in an Authorization header, or None without one."""
    scheme, _, token = authorization.partition(" ")
    is_token = scheme.lower() == "bearer" and is_well_formed(token)
    return hashed(token, key) if is_token else None


def row_id(id_: str, kind: str) -> str:
    """Return the row's id in a public id of this kind."""
    found, _, row = id_.partition("_")
    if found != kind:
        raise GraphQLError("not an id of this kind")
    return row
