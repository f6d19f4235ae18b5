"""Bodies and documents written by hand, each unreasonable in one way."""

from collections.abc import Iterator
from typing import Any

from graphql import get_introspection_query

from tests.security.fuzz import JSON, Hostile, body, document
from tests.security.fuzz.signing_in import signing_in

ID = "cli_00000000-0000-4000-8000-000000000000"
GOOD = b'{"query": "{ client { id } }"}'

REPORT = 'revenue(dateRange: { gte: "2025-03-01", lte: "2026-04-01" }) { invoiced { amount } }'
ENDLESS = 'revenue(dateRange: { gte: "0001-01-01", lte: "9999-12-31" }, groupBy: DAY) { start }'


def corpus() -> list[Hostile]:
    requests = [
        *bombs(),
        *fragments(),
        *operations(),
        *literals(),
        *introspection(),
        *pages(),
        *variables(),
        *changes(),
        *signing_in(),
        *bodies(),
        *transports(),
    ]
    assert len({request.name for request in requests}) == len(requests) >= 120
    return requests


def many(text: str, count: int) -> str:
    """Repeat the text, with `#` replaced by the repetition's number."""
    return " ".join(text.replace("#", str(number)) for number in range(count))


def client(asked: str) -> str:
    return f"{{ client {{ {asked} }} }}"


def bombs() -> Iterator[Hostile]:
    card = "defaultPaymentMethod { client { "
    kinds = {
        "aliases": client(many("a#: id", 1_300)),
        "aliases of the dearest field": client(many("a#: canPay { reason }", 200)),
        "aliases within one permission": client(f"canPay {{ {many('a#: reason', 200)} }}"),
        "aliases of histories": client(many("a#: accountHistory { nodes { status } }", 166)),
        "aliases of nodes": "{ " + many(f'a#: nodes(ids: ["{ID}"]) {{ id }}', 200) + " }",
        "aliases of completeness": client(
            many("a#: superbills { nodes { completeness { missing { code } } } }", 99)
        ),
        "aliases of clients": f"{{ {many('a#: clients { nodes { name } }', 160)} }}",
        "aliases of reports": f"{{ practice {{ {many(f'a#: {REPORT}', 30)} }} }}",
        "reports in a list": f"{{ clients(first: 500) {{ nodes {{ practice {{ {REPORT} }} }} }} }}",
        "reports without end": f"{{ practice {{ {ENDLESS} }} }}",
        "the same field": client("id " * 3_900),
        "the same object": client("balance { amount { amount } } " * 99),
        "the root's name": "{ " + "__typename " * 3_900 + "}",
        "clashing aliases": client("a: id a: name " * 240),
        "clashing arguments": client(many("invoices(first: #) { totalCount }", 240)),
        "five thousand tokens": client("id " * 5_000),
        "directives": client("id " + "@skip(if: false) " * 600),
        "directives of one each": client("id @include(if: true) " * 550),
        "unknown directives": client("id " + "@a " * 1_900),
        "to one another": client(card * 9 + "id" + "} }" * 9),
        "to one another without end": client(card * 300 + "id" + "} }" * 300),
        "brackets": "{" * 50_000,
        "selections": "{ a " * 20_000,
        "closing brackets": "}" * 50_000,
        "inline fragments": client("... { " * 300 + "id" + " }" * 300),
        "a long name": f"{{ {'a' * 99_000} }}",
        "a longer name": f"{{ {'a' * 900_000} }}",
        "commas": "{ client { id" + "," * 99_000 + " } }",
        "comments": "# a\n" * 20_000 + "{ client { id } }",
        "spaces": " " * 900_000 + "{ client { id } }",
        "unknown fields": client(many("a#", 400)),
        "unknown arguments": f"{{ client({many('a#: 1', 1_300)}) {{ id }} }}",
        "the same argument": f"{{ client({'id: 1 ' * 1_300}) {{ id }} }}",
    }
    return (document(name, query) for name, query in kinds.items())


def fragments() -> Iterator[Hostile]:
    leaf = " fragment F440 on Client { id }"
    kinds = {
        "chain": client("...F0")
        + "".join(f" fragment F{n} on Client {{ ...F{n + 1} }}" for n in range(440))
        + leaf,
        "doubling": client("...F0")
        + "".join(f" fragment F{n} on Client {{ ...F{n + 1} ...F{n + 1} }}" for n in range(300))
        + " fragment F300 on Client { id }",
        "pyramid": client("...F0")
        + "".join(
            f" fragment F{n} on Client {{ {' '.join(f'...F{m}' for m in range(n + 1, 50))} id }}"
            for n in range(50)
        )
        + " fragment F50 on Client { id }",
        "a ring of one": client("...F") + " fragment F on Client { id ...F }",
        "a ring of two": client("...A")
        + " fragment A on Client { ...B } fragment B on Client { ...A }",
        "a ring of many spreads": client("...A")
        + f" fragment A on Client {{ {'...B ' * 900} }} fragment B on Client {{ {'...A ' * 900} }}",
        "a ring through objects": client("...A")
        + " fragment A on Client { activePayment { client { ...A } } }",
        "side by side": client(many("...F#", 300)) + many(" fragment F# on Client { a: id }", 300),
        "clashing side by side": client(many("...F#", 240))
        + many(" fragment F# on Client { a: id }", 120)
        + many(" fragment G# on Client { a: name }", 120),
        "deep side by side": client(many("...F#", 99))
        + many(" fragment F# on Client { activePayment { client { id name } } }", 99),
        "unused": client("id") + many(" fragment F# on Client { id }", 500),
        "unused and wide": client("id") + f" fragment F on Client {{ {'id ' * 3_900} }}",
        "of one name": client("...F") + " fragment F on Client { id }" * 500,
        "of no type": client("...F") + " fragment F on Nobody { id }",
        "of a scalar": client("...F") + " fragment F on String { id }",
        "undefined": client(many("...F#", 900)),
        "on everything": f'{{ node(id: "{ID}") {{ {many("... on Client { id }", 400)} }} }}',
    }
    return (document(f"fragments: {name}", query) for name, query in kinds.items())


def operations() -> Iterator[Hostile]:
    kinds = {
        "many": many("query Q# { client { id } }", 550),
        "of one name": "query Q { client { id } } " * 550,
        "of no name": "{ client { id } } " * 550,
        "a mutation": "mutation { pay { id } }",
        "a subscription": "subscription { paid { id } }",
        "none": "fragment F on Client { id }",
        "a schema": "type Query { a: Int } schema { query: Query }",
        "an extension": "extend type Query { a: Int }",
        "nothing": "",
        "only a comment": "# { client { id } }",
        "a byte order mark": "\ufeff{ client { id } }",
        "right to left": "\u202e{ client { id } }",
        "wide characters": client("\U0001f600"),
        "a NUL": client("id \0"),
        "deferred": client("... @defer { id }"),
        "many variables": f"query ({many('$v#: Int', 950)}) {{ client {{ id }} }}",
        "one variable often": f"query ({'$v: Int ' * 950}) {{ client {{ id }} }}",
        "a type in brackets": f"query ($a: {'[' * 9_000}Int{']' * 9_000}) {{ client {{ id }} }}",
        "an unknown type": "query ($a: Nothing) { client { id } }",
    }
    return (document(f"operations: {name}", query) for name, query in kinds.items())


def literals() -> Iterator[Hostile]:
    def first(value: str) -> str:
        return client(f"invoices(first: {value}) {{ totalCount }}")

    def id_(value: str) -> str:
        return f"{{ client(id: {value}) {{ id }} }}"

    kinds = {
        "lists in lists": id_("[" * 10_000 + "]" * 10_000),
        "some lists in lists": id_("[" * 150 + "]" * 150),
        "objects in objects": id_("{a: " * 10_000 + "1" + "}" * 10_000),
        "a wide list": "{ nodes(ids: [" + '"x" ' * 3_900 + "]) { id } }",
        "a wide object": client(f"invoices(dateRange: {{ {'gte: 1 ' * 1_200} }}) {{ totalCount }}"),
        "a long integer": first("1" * 90_000),
        "a longer integer": first("1" * 900_000),
        "an integer of 4,301 digits": first("1" * 4_301),
        "a long float": first("1e" + "9" * 90_000),
        "an endless float": first("1e400"),
        "a negative nought": first("-0"),
        "2^31": first(str(2**31)),
        "2^63": first(str(2**63)),
        "a long string": id_(f'"{"a" * 99_000}"'),
        "a longer string": id_(f'"{"a" * 900_000}"'),
        "a long block": id_('"""' + "\n a" * 30_000 + '"""'),
        "escapes": id_(f'"{chr(92)}u0041' + "\\u0041" * 15_000 + '"'),
        "an escaped NUL": id_('"\\u0000"'),
        "an escaped lone surrogate": id_('"\\ud800"'),
        "an escaped character out of Unicode": id_('"\\u{110000}"'),
        "an open string": id_('"'),
        "an open block": id_('"""'),
        "an enum in place of an id": id_("PAID"),
    }
    return (document(f"literals: {name}", query) for name, query in kinds.items())


def introspection() -> Iterator[Hostile]:
    def ring(times: int) -> str:
        return (
            "{ __schema { types { " + "fields { type { " * times + "name" + " } }" * times + "} } }"
        )

    kinds = {
        "whole": get_introspection_query(),
        "in a ring": ring(6),
        "in a long ring": ring(200),
        "in as much of a ring as goes": ring(2),
        "of types of a type": '{ __type(name: "Client") { '
        + "ofType { " * 99
        + "name"
        + " }" * 101,
        "often": "{ " + many("a#: __schema { types { name description } }", 120) + " }",
        "of fields often": "{ __schema { "
        + many("a#: types { fields { type { fields { name } } } }", 20)
        + " } }",
        "with an id": '{ __type(name: "%s") { name } client { id } }' % ("a" * 9_000),
    }
    return (document(f"introspection: {name}", query) for name, query in kinds.items())


def pages() -> Iterator[Hostile]:
    four = (
        "{ clients(first: %s) { nodes { invoices(first: %s) { nodes { payments { allocations {"
        " invoice { lines { date } } } } } } } } }"
    )
    kinds = {
        "a hundred four deep": four % (100, 100),
        "five hundred": four % (500, 500),
        "endless": four % ("9" * 20, "9" * 20),
        "both ends": client("invoices(first: 1, last: 1) { totalCount }"),
        "a cursor of a megabyte": client(f'invoices(after: "{"00" * 49_000}") {{ totalCount }}'),
        "a cursor of another list": client('invoices(after: "00") { nodes { id } }'),
        "refused in each item": "{ viewer { clients { "
        + many("a#: invoices(first: 0) { totalCount }", 60)
        + " } } }",
        "ids that are none": "{ nodes(ids: [" + many('"cli_#"', 60) + "]) { id } }",
    }
    return (document(f"pages: {name}", query) for name, query in kinds.items())


def variables() -> Iterator[Hostile]:
    ids = "query ($v: [ID!]!) { nodes(ids: $v) { id } }"
    first = "query ($v: Int) { client { invoices(first: $v) { totalCount } } }"
    status = "query ($v: [InvoiceStatus!]) { client { invoices(status: $v) { totalCount } } }"
    range_ = "query ($v: DateRange) { client { invoices(dateRange: $v) { totalCount } } }"
    deep = b"[" * 900 + b"]" * 900
    yield document("variables: many ids", ids, v=[ID] * 20_000)
    yield document("variables: many wrong ids", ids, v=[{}] * 9_000)
    yield document("variables: fifty and one ids", ids, v=[ID] * 51)
    yield document("variables: many statuses", status, v=["PAID"] * 9_000)
    yield document("variables: too many statuses", status, v=["PAID"] * 90_000)
    yield document("variables: many wrong statuses", status, v=["LATE"] * 9_000)
    yield document("variables: a long status", status, v="A" * 900_000)
    yield document("variables: a wide range", range_, v={f"k{n}": n for n in range(4_000)})
    yield document("variables: unknown", first, **{f"k{n}": n for n in range(50_000)})
    yield document("variables: a long name", first, **{"k" * 900_000: 1})
    yield document("variables: a page of text", first, v="1" * 900_000)
    for number in ("1e400", "-0", "NaN", "9" * 400, "1.0", str(2**64), "-1"):
        content = b'{"query": "%s", "variables": {"v": %s}}' % (first.encode(), number.encode())
        yield Hostile(f"variables: {number[:9]}", content, JSON)
    for name, query in (("ids", ids), ("page", first), ("range", range_)):
        content = b'{"query": "%s", "variables": {"v": %s}}' % (query.encode(), deep)
        yield Hostile(f"variables: {name} nested deeply", content, JSON)
    yield document("variables: a NUL", "query ($v: ID) { client(id: $v) { id } }", v="\0")
    yield document("variables: a lone surrogate", ids, v=["\ud800"])


def changes() -> Iterator[Hostile]:
    """Yield mutations that begin nothing, with every kind of invalid input."""
    query = "mutation ($i: PayInput!) { pay(input: $i) { __typename ... on UserError { path } } }"
    for name, wrong in WRONG_INPUTS.items():
        yield document(f"changes: {name}", query, i=PAY_INPUT | wrong)
    credit = 'expectedAmount: {amount: "1", currency: "USD"}, source: {credit: true}'
    pay = f'pay(input: {{{credit}, idempotencyKey: "%s"}}) {{ __typename }}'
    refresh = f'refreshPayment(input: {{paymentId: "{ID}"}}) {{ __typename }}'
    kinds = {
        "ten": f"mutation {{ {many('a#: ' + refresh, 10)} }}",
        "a hundred": f"mutation {{ {many('a#: ' + refresh, 100)} }}",
        "a hundred by fragments": "fragment F on Mutation { ...G ...G } fragment G on Mutation {"
        f" {many('a#: ' + refresh, 50)} }} mutation {{ ...F }}",
        "of one name": f"mutation {{ {(refresh + ' ') * 100} }}",
        "a NUL in a key": f"mutation {{ {pay % ('k' * 16 + chr(92) + 'u0000')} }}",
        "a long key": f"mutation {{ {pay % ('k' * 90_000)} }}",
        "no selection": "mutation { signOut }",
        "skipped": f"mutation {{ {refresh} @skip(if: true) }}",
        "a query's field": "mutation { client { id } }",
    }
    for name, asked in kinds.items():
        yield document(f"changes: {name}", asked)


PAY_INPUT = {
    "expectedAmount": {"amount": "1.00", "currency": "USD"},
    "source": {"credit": True},
    "idempotencyKey": "a-key-of-enough-characters",
}


def amount(text: Any, currency: Any = "USD") -> dict[str, Any]:
    return {"expectedAmount": {"amount": text, "currency": currency}}


def new_card(token: Any, **more: Any) -> dict[str, Any]:
    return {"source": {"newCard": {"confirmationToken": token, **more}}}


WRONG_INPUTS: dict[str, dict[str, Any]] = {
    "a float amount": amount(1.0),
    "not a number": amount("NaN"),
    "an infinite amount": amount("Infinity"),
    "an exponent": amount("1e400"),
    "a long amount": amount("9" * 90_000),
    "a negative amount": amount("-1.00"),
    "a negative nought": amount("-0"),
    "wide digits": amount("\uff11\uff12"),
    "a space before": amount(" 1"),
    "beyond 2^53": amount(str(2**53)),
    "another currency": amount("1.00", "EUR"),
    "a currency in small letters": amount("1.00", "usd"),
    "a long currency": amount("1.00", "U" * 90_000),
    "a short key": {"idempotencyKey": "k"},
    "a key with a NUL": {"idempotencyKey": "k" * 16 + "\0"},
    "a key with a lone surrogate": {"idempotencyKey": "k" * 16 + "\ud800"},
    "a key that is a number": {"idempotencyKey": 10**20},
    "a key that is a list": {"idempotencyKey": ["k" * 16]},
    "two sources": {"source": {"credit": True, "paymentMethodId": ID}},
    "no source": {"source": {}},
    "a null source": {"source": {"credit": None}},
    "no credit": {"source": {"credit": False}},
    "a card of another kind": {"source": {"paymentMethodId": ID}},
    "Stripe's own id": {"source": {"paymentMethodId": "pm_1234567890"}},
    "a card number for a card": {"source": {"paymentMethodId": "4242 4242 4242 4242"}},
    "a card number for a token": new_card("4242424242424242"),
    "a token with a path": new_card("ctoken_12345678/../customers"),
    "a token with a line's end": new_card("ctoken_12345678\n"),
    "a long token": new_card("ctoken_" + "a" * 90_000),
    "a token of another's": new_card("ctoken_1234567890"),
    "a default that isn't saved": new_card("ctoken_1234567890", makeDefault=True),
    "a field too many": {"tip": "1.00"},
    "a client that is none": {"clientId": "cli_zzz"},
    "an invoice that is none": {"invoiceId": "inv_" + "0" * 36},
    "a client of another kind": {"clientId": "inv_00000000-0000-4000-8000-000000000000"},
}


def bodies() -> Iterator[Hostile]:
    raw = {
        "nothing": b"",
        "no JSON": b"\x00\x01\x02",
        "invalid UTF-8": b'{"query": "\xff\xfe"}',
        "UTF-16": '{"query": "{ client { id } }"}'.encode("utf-16"),
        "a byte order mark": b"\xef\xbb\xbf" + GOOD,
        "cut short": GOOD[:-3],
        "twice": GOOD + GOOD,
        "deep lists": b"[" * 100_000,
        "deep objects": b'{"a":' * 100_000,
        "deep and whole": b"[" * 100_000 + b"]" * 100_000,
        "a megabyte and more": b" " * (2**20 + 1),
        "a megabyte of spaces": b" " * (2**20 - len(GOOD)) + GOOD,
        "the same key often": b"{" + b'"query": "{ a }",' * 40_000 + b'"query": "{ b }"}',
        "an escaped surrogate": b'{"query": "{ client(id: \\"\\ud800\\") { id } }"}',
        "an escaped NUL": b'{"query": "{ client { id \\u0000 } }"}',
        "NaN": b'{"query": NaN}',
        "a form": b"query={client{id}}",
    }
    for name, content in raw.items():
        yield Hostile(f"body: {name}", content)
    value: Any
    wrong: Any
    for value in (None, 1, "x", [], [{"query": "{ client { id } }"}] * 900, True, {}):
        yield body(f"body: {repr(value)[:20]}", value)
    for key in ("query", "variables", "operationName"):
        for wrong in (1, [], "x" * 9_000, {"a": {}}, True):
            good = {"query": "{ client { id } }", "extensions": {"persistedQuery": 1}}
            yield body(f"body: {key} is {repr(wrong)[:12]}", good | {key: wrong})


def transports() -> Iterator[Hostile]:
    types = (
        "", "text/plain", "application/graphql", "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded", "application/json; charset=utf-16",
        "application/json;" + "a" * 9_000, "APPLICATION/JSON", "application/json, text/html",
    )  # fmt: skip
    for method in ("POST", "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        for type_ in types:
            name = f"{method} of {type_[:40] or 'no type'}"
            yield Hostile(name, GOOD, {"Content-Type": type_}, method)
    for name, value in (
        ("Accept", "a/b, " * 9_000),
        ("Accept", "application/graphql-response+json"),
        ("Content-Length", "1"),
        ("Content-Length", "99999999999"),
        ("Transfer-Encoding", "chunked"),
        ("Expect", "100-continue"),
        ("Origin", "null"),
        ("X-Forwarded-For", "a" * 60_000),
        ("Content-Encoding", "gzip"),
    ):
        yield Hostile(f"{name}: {value[:34]}", GOOD, JSON | {name: value})
