"""Probes of mutations without a valid sign-in: all ids get the same 401."""

from tests.security.isolation.doors import wrong_headers
from tests.security.isolation.entrances import Inside
from tests.security.isolation.households import Bearer
from tests.security.isolation.ids import some
from tests.security.isolation.mutations import CHANGES, Payer
from tests.security.isolation.trying import asked_of, nowhere, whole


async def changes_without_a_sign_in(inside: Inside, bearer: Bearer) -> None:
    payer = Payer(inside.matrix.facts[bearer.practice], bearer)
    ids, check = some(inside.matrix, payer), inside.matrix.report.check
    same = [
        one
        for one in inside.households.bearers
        if (one.sort, one.practice) == (bearer.sort, bearer.practice)
    ]
    states = {f"{one.state} token" for one in same}
    headers = {why: header for why, header in wrong_headers(same).items() if why in states}
    for why, header in headers.items():
        for what, change in CHANGES.items():
            query = change.query(bearer)
            given = change.input(inside, payer, nowhere(change.kind))
            expected = await inside.ask(query, header, i=given)
            refused = (expected.status_code, '"code":"UNAUTHENTICATED"' in expected.text)
            check(payer, f"Mutation.{what}", why, refused, (401, True))
            for id_, whose in asked_of(inside, payer, change.kind, ids):
                given = change.input(inside, payer, id_)
                found = await inside.ask(query, header, i=given)
                told = f"{whose}, {why}"
                check(payer, f"Mutation.{what}", told, whole(found), whole(expected))
    left = [str(one) for one in await inside.rows.differences()]
    check(payer, "what is written", "without a sign-in", left, [])
