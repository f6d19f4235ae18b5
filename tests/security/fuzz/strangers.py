"""Requests without a token that keep the server busy: the most expensive documents of each kind.

Each shape is made for a number, so that no cache has seen it.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from execution.anonymous import MAX_LENGTH, MAX_TOKENS
from identity.tokens import new_secret
from tests.security.fuzz import JSON, Hostile

Made = Callable[[int], Hostile]
ASK = "requestSignInLink(input: {email: $e})"
SIGN_IN = 'signIn(input: {secret: "none", nonce: "none"})'
PAGE = "client { " + "invoices { nodes { id } } " * 250 + "}"


def shape(query: str, variables: Any = None, **more: str) -> Made:
    """Return a function that makes the document, with `#` replaced by the number."""

    def made(number: int) -> Hostile:
        body = {"query": query.replace("#", str(number), 1), "variables": variables, **more}
        # The number of sign-in requests per network address is limited.
        sender = {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
        return Hostile(query[:40], json.dumps(body).encode(), JSON | sender)

    return made


def body(content: bytes, headers: Mapping[str, str] = JSON) -> Made:
    return lambda _: Hostile("a body", content, headers)


def with_token(number: int) -> Hostile:
    """Return a document with a token that is well-formed and unknown."""
    token = {"Authorization": f"Bearer {new_secret()}"}
    return Hostile("a token", shape(f"{{ {PAGE} }} # #")(number).content, JSON | token)


USER_ERROR = "... on UserError { code message path }"
DEEP = "activePayment { client { " * 6 + "id" + " } }" * 6
CHAIN = " ".join(f"fragment F{n} on UserError {{ ...F{n + 1} ...F{n + 1} }}" for n in range(6))
SPREADS = " ".join(f"...F{n}" for n in range(6))
SPREAD = " ".join(f"fragment F{n} on UserError {{ code message }}" for n in range(6))
ALIASES = " ".join(f"a{n}: __typename" for n in range(26))
ARGUMENTS = " ".join(f"a{n}: 1" for n in range(28))
VARIABLES = " ".join(f"$v{n}: [String!]!" for n in range(9))
UNKNOWN = " ".join(f"x{n}" for n in range(70))


def signing_in(asked: str, after: str = "") -> Made:
    return shape(f"mutation M# {{ {SIGN_IN} {{ {asked} }} }} {after}")


def secret(literal: str) -> Made:
    given = f'{{secret: {literal}, nonce: "none"}}'
    return shape(f"mutation M# {{ signIn(input: {given}) {{ __typename }} }}")


LINK = f"mutation M#($e: String!) {{ {ASK} {{ nonce expiresAt }} }}"
SHAPES: Mapping[str, Made] = {
    "sign-in link": shape(LINK, {"e": "nobody@example.com"}),
    "digits": shape(LINK, {"e": "4 " * 7_500}),
    "values": shape(LINK, {"e": "x@example.com", "more": ["a"] * 3_500}),
    "sign in, wrongly": signing_in(f"__typename ... on SignedIn {{ token }} {USER_ERROR}"),
    "one field often": signing_in("__typename " * 75),
    "aliases": signing_in(ALIASES),
    "inline fragments": signing_in("... on UserError { code } " * 12),
    "deep": signing_in(f"... on SignedIn {{ viewer {{ clients {{ {DEEP} }} }} }}"),
    "fragments": signing_in(SPREADS, SPREAD),
    "fragments in fragments": signing_in("...F0", f"{CHAIN} fragment F6 on UserError {{ code }}"),
    "unknown fields": signing_in(UNKNOWN),
    "unknown arguments": shape(f"mutation M# {{ signIn({ARGUMENTS}) }}"),
    "variables": shape(f"mutation M#({VARIABLES}) {{ {SIGN_IN} {{ __typename }} }}"),
    "directives": signing_in("__typename " + "@skip(if: false) " * 10),
    "literals": secret("[" * 38 + "]" * 38),
    "an object in objects": secret("{a: " * 17 + "1" + "}" * 17),
    "a long string": secret(f'"{"a" * 3_900}"'),
    "escapes": secret('"' + "\\u0041" * 600 + '"'),
    "a block string": secret('"""' + "\n a" * 1_200 + '"""'),
    "a comment": shape(f"mutation M# {{ {SIGN_IN} {{ __typename }} }} #" + "x" * 3_900),
    "comments": shape(f"mutation M# {{ {SIGN_IN} {{ __typename }} }} " + "#\n" * 75),
    "a long name": shape("{ a#" + "a" * 4_000 + " }"),
    "brackets": shape("{ a# " + "{" * 4_000),
    "the root's name": shape("query Q# { " + "__typename " * (MAX_TOKENS - 5) + "}"),
    "two operations": shape(
        f"mutation A {{ {SIGN_IN} {{ __typename }} }} query B# {{ {PAGE} }}", operationName="A"
    ),
    "introspection": shape("query Q# { __schema { types { fields { type { name } } } } }"),
    "a page": shape("query Q# { client { id name invoices { nodes { id } } } }"),
    "a long document": shape("query Q# { client { " + "id " * 5_000 + "} }"),
    "a longer document": shape("query Q# { client { id } } # " + "x" * (MAX_LENGTH + 8_000)),
    "an unknown token": with_token,
    "no JSON": body(b"[" * 16_000),
    "a batch": body(b"[" + b'{"query": "{ __typename }"},' * 500 + b"{}]"),
    "keys": body(
        b'{"query": "{ __typename }", "variables": {' + b'"a": {"b": [1]},' * 900 + b'"c": 1}}'
    ),
    "persisted": body(b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "00"}}}'),
}
