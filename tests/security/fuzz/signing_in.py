"""Hostile requests to the mutations that need no token."""

from collections.abc import Iterator
from typing import Any

from tests.security.fuzz import Hostile, document

REQUEST = """mutation ($email: String!) {
    requestSignInLink(input: {email: $email}) { nonce expiresAt } }"""
SIGN_IN = """mutation ($secret: String!, $nonce: String!) {
    signIn(input: {secret: $secret, nonce: $nonce}) { __typename
        ... on SignedIn { viewer { clients { invoices { nodes { number } } } } }
        ... on UserError { message } } }"""
WITH_CODE = """mutation ($code: String!, $nonce: String!) {
    signInWithCode(input: {code: $code, nonce: $nonce}) { __typename
        ... on UserError { message } } }"""
SWITCH = "mutation ($id: ID!) { switchViewer(input: {id: $id}) { __typename } }"
REVOKE = "mutation ($id: ID!) { revokeSignIn(input: {id: $id}) { __typename } }"

EMAILS: dict[str, Any] = {
    "nothing": "",
    "ten kilobytes": "a" * 10_000 + "@example.com",
    "ninety kilobytes": "a" * 90_000,
    "a NUL": "ana\0@example.com",
    "a lone surrogate": "ana\ud800@example.com",
    "a header": "ana@example.com\r\nBcc: evil@example.com",
    "SQL": "' OR email LIKE '%@%' --",
    "a pattern": "%@example.com",
    "letters that fold to others": "\u212aELVIN@example.com",
    "letters from right to left": "\u202eana@example.com",
    "a card's number": "4242 4242 4242 4242@example.com",
    "a list": ["ana@example.com"],
    "a number": 7,
}
SECRETS: dict[str, Any] = {
    "nothing": "",
    "ninety kilobytes": "a" * 90_000,
    "a NUL": "a" * 42 + "\0",
    "a hash": "f" * 64,
    "null": None,
}


def signing_in() -> Iterator[Hostile]:
    for name, email in EMAILS.items():
        yield document(f"an address: {name}", REQUEST, email=email)
    for name, secret in SECRETS.items():
        yield document(f"a secret: {name}", SIGN_IN, secret=secret, nonce="n")
        yield document(f"a nonce: {name}", SIGN_IN, secret="s" * 43, nonce=secret)
        yield document(f"a sign-in: {name}", REVOKE, id=secret)
        yield document(f"an identity: {name}", SWITCH, id=secret)
        yield document(f"a code: {name}", WITH_CODE, code=secret, nonce="n")
        yield document(f"a code's nonce: {name}", WITH_CODE, code="123456", nonce=secret)
    asked = 'a#: requestSignInLink(input: {email: "#@example.com"}) { nonce }'
    entered = 'a#: signIn(input: {secret: "#", nonce: ""}) { __typename }'
    for count in (2, 10, 11, 190):
        for name, one in {"requests": asked, "sign-ins": entered}.items():
            many = " ".join(one.replace("#", str(number)) for number in range(count))
            yield document(f"{count} {name} in one", f"mutation {{ {many} }}")
