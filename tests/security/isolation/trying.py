"""Mutations tried with ids of all owners, over HTTP, and the changes that each leaves.

An invisible id has to get the bytes of an unknown one, and a visible id that the viewer may not pay
for is refused. Neither may change a row.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from sqlalchemy import select

from models import AccessAction, AccessEntry, Client, Contact, Scope, Token
from tests.security.isolation.entrances import Inside, address
from tests.security.isolation.entries import ENTRIES
from tests.security.isolation.households import Bearer
from tests.security.isolation.ids import NOWHERE, Asked, some
from tests.security.isolation.mutations import (
    CHANGES,
    NOWHERE_SETUP,
    OUT_OF_SCOPE,
    OWN,
    Change,
    Payer,
)
from tests.security.isolation.rows import MOVING, Difference
from tests.security.isolation.sight import PREFIXES, relation
from tests.support.headers import compared_headers

SIGN_INS = (AccessAction.SIGN_IN, AccessAction.SIGN_OUT)

# -- ids to try ------------------------------------------------------------------------------------


def asked_of(inside: Inside, payer: Payer, kind: str, ids: list[Asked]) -> Iterator[Asked]:
    """Yield the ids of a kind, each with its owner's relation to the viewer, and an unknown id."""
    if kind == "seti":
        yield from setups(inside, payer)
    elif kind == "sgn":
        yield from sign_ins(inside, payer)
    elif kind == "idn":
        yield from people(inside, payer)
    else:
        yield from dict.fromkeys(one for one in ids if one[0][:3] == kind)
        # Ids of other kinds, with this kind's prefix.
        others = [one for one in ids if one[0][:3] != kind][::25]
        for id_, whose in others:
            yield f"{kind}_{id_[4:]}", f"{whose}, of another kind"


def setups(inside: Inside, payer: Payer) -> Iterator[Asked]:
    for setup, (practice, client_id, _) in inside.setups.items():
        own = practice == payer.bearer.practice
        clients = [one for one in payer.facts.things["Client"] if own and one["id"] == client_id]
        yield setup, relation(payer, "Client", clients[0]) if clients else "other practice"
    yield NOWHERE_SETUP, "nowhere"


def sign_ins(inside: Inside, payer: Payer) -> Iterator[Asked]:
    """Yield live sign-ins, ended ones, and tokens that are no sign-ins."""
    here = payer.bearer
    for one in inside.households.bearers:
        same = one.sort == here.sort
        whose = (
            ("self" if same else "another") if one.practice == here.practice else "other practice"
        )
        yield f"sgn_{one.token_id}", f"{whose}, {one.state}"
    for practice, rows in inside.households.rows.items():
        whose = "practice" if practice == here.practice else "other practice"
        yield f"sgn_{rows[Token][0]['id']}", f"{whose}, given out"
    yield f"sgn_{NOWHERE}", "nowhere"


def people(inside: Inside, payer: Payer) -> Iterator[Asked]:
    """Yield all people who could have an address in a practice, and an unknown one."""
    here = payer.bearer
    for practice, rows in inside.households.rows.items():
        for model in (Client, Contact):
            for row in rows[model]:
                same = "self" if row["id"] == here.subject_id else "another"
                yield f"idn_{row['id']}", same if practice == here.practice else "other practice"
    yield f"idn_{NOWHERE}", "nowhere"


def nowhere(kind: str) -> str:
    return NOWHERE_SETUP if kind == "seti" else f"{kind}_{NOWHERE}"


# -- requests --------------------------------------------------------------------------------------


async def changes_of_everybody(inside: Inside, bearer: Bearer) -> None:
    """Try each argument with the ids of all owners; then assert that no other row has changed."""
    payer = Payer(inside.matrix.facts[bearer.practice], bearer)
    ids, recorded = some(inside.matrix, payer), await record(inside)
    for what, one in (CHANGES | ENTRIES).items():
        nothing = await sent(inside, payer, one, nowhere(one.kind))
        for id_, whose in tried_with(inside, payer, what, one, ids):
            await probe(inside, payer, (f"Mutation.{what}", whose), one, id_, nothing)
        await misnamed(inside, payer, what, one, ids)
    left = [str(one) for one in await inside.rows.differences()]
    inside.matrix.report.check(payer, "what is written", "everybody", left, [])
    strange = [one for key, one in (await record(inside)).items() if key not in recorded]
    wrong = [str(one) for one in strange if not may_be_recorded(inside, payer, one)]
    inside.matrix.report.check(payer, "what is recorded", "everybody", wrong, [])


def tried_with(
    inside: Inside, payer: Payer, what: str, change: Change, ids: list[Asked]
) -> list[Asked]:
    """Return the ids to try: without the scope of an entry only one of each owner."""
    asked = [*asked_of(inside, payer, change.kind, ids)]
    if change.scope is Scope.BILLING_WRITE and change.scope not in payer.bearer.scopes:
        return [*{whose: (id_, whose) for id_, whose in asked}.values()]
    written = [one for one in asked if change.writes(payer, one[0])]
    inside.matrix.left_out |= {
        (f"Mutation.{what}", payer.bearer.sort, whose) for _, whose in written
    }
    return [one for one in asked if one not in written]


async def probe(
    inside: Inside,
    payer: Payer,
    told: tuple[str, str],
    change: Change,
    id_: str,
    nothing: httpx.Response,
) -> None:
    check = inside.matrix.report.check
    what, whose = told
    judged, expected = foretold(inside, payer, change, id_)
    response = await sent(inside, payer, change, id_)
    check(payer, what, whose, came_to(payer, change, response, id_), expected)
    if judged in ("hidden", OUT_OF_SCOPE):
        check(payer, f"{what}, the bytes", whose, whole(response), whole(nothing))
    moved = await inside.rows.differences(MOVING) if wrote(response) else []
    if moved:
        mine = judged == "reached" and all(is_of(payer, one) for one in moved)
        check(payer, f"{what}, the rows", whose, mine, True)
        await inside.rows.put_back(moved)


async def misnamed(
    inside: Inside, payer: Payer, what: str, change: Change, ids: list[Asked]
) -> None:
    """Check that an id with another kind's prefix gets the answer of an unknown one,
    for any owner.
    """
    other = "rct" if change.kind in PREFIXES.values() else "cli"
    nothing = await sent(inside, payer, change, f"{other}_{NOWHERE}")
    fitting = dict.fromkeys(one for one in ids if one[0][:3] == change.kind)
    for id_, whose in [*fitting][:4]:
        found = await sent(inside, payer, change, f"{other}_{id_[4:]}")
        told = f"{whose}, misnamed"
        inside.matrix.report.check(payer, f"Mutation.{what}", told, whole(found), whole(nothing))


def foretold(inside: Inside, payer: Payer, change: Change, id_: str) -> tuple[str, str]:
    """Return the expected outcome of an id, and its form in the response."""
    if change.kind not in OWN and change.scope not in payer.bearer.scopes:
        return OUT_OF_SCOPE, OUT_OF_SCOPE
    judged, path = change.judge(inside, payer, id_)
    return judged, f"NotFound at input.{path}" if judged == "hidden" else judged


async def sent(inside: Inside, payer: Payer, change: Change, id_: str) -> httpx.Response:
    given = change.input(inside, payer, id_)
    return await inside.ask(change.query(payer.bearer), inside.header(payer.bearer), i=given)


def whole(response: httpx.Response) -> tuple[int, str, dict[str, str]]:
    return response.status_code, response.text, compared_headers(response)


def came_to(payer: Payer, change: Change, response: httpx.Response, id_: str) -> str:
    """Return the refusal in the response, or "reached"."""
    answer = response.json()
    if "errors" in answer:
        return str(answer["errors"][0]["extensions"]["code"])
    found = answer["data"][change.field]
    payment = (found.get("payment") or {}).get("id")
    if payment and not payer.thing("Payment", payment):
        return f"{payment}, out of sight"
    if payment and change.kind == "pmt" and payment != id_:
        return f"{payment}, another"
    type_ = str(found["__typename"])
    if type_ == "NotFound":
        assert found["code"] == "NOT_FOUND"
        type_ = f"NotFound at {'.'.join(found['path'])}"
    return "reached" if type_ in change.outcomes else type_


# -- written rows ----------------------------------------------------------------------------------

WRITTEN = (
    "CardPrepared",
    "DefaultMade",
    "CardRemoved",
    "SignInRevoked",
    "PayCanceled",
    "ViewerSwitched",
)


def wrote(response: httpx.Response) -> bool:
    """Return whether the response reports a change, or leaves the outcome open."""
    return response.status_code != 200 or any(f'"{one}"' in response.text for one in WRITTEN)


def is_of(payer: Payer, difference: Difference) -> bool:
    """Return whether the row belongs to a client that the viewer may pay for, and to the viewer if
    it has a holder, or is the viewer's own sign-in.
    """
    row, name = difference.row, difference.table.name
    if row["practice_id"] != payer.bearer.practice_id:
        return False
    if name == "token":
        return bool(row["email"] == address(payer.bearer.sort).lower())
    if name == "practice_version":
        return True
    if "contact_id" in row and not payer.holds(row):
        return False
    # What Stripe detaches for a contact names no client.
    client_id = row["id" if name == "client" else "client_id"]
    return client_id is None or payer.pays(str(client_id))


async def record(inside: Inside) -> Mapping[str, Any]:
    """Return the entries of the audit log, after writing the pending ones."""
    await inside.portal.application.state.read_audit.flush()
    async with inside.portal.engine.connect() as conn:
        result = await conn.execute(select(AccessEntry.__table__))
        return {str(row.id): row for row in result}


def may_be_recorded(inside: Inside, payer: Payer, entry: Any) -> bool:
    """Return whether an audit entry may have been caused by the viewer.

    It may be a change of a client that the viewer pays for, a read of a visible payment, a refusal
    without an invisible client, or an own sign-in that was switched or ended.
    """
    own, client_id = payer.bearer, str(entry.client_id)
    if (entry.practice_id, entry.token_id) != (own.practice_id, own.token_id):
        return False
    if entry.action is AccessAction.CHANGE:
        return payer.pays(client_id)
    if entry.client_id is None:
        return entry.action in (AccessAction.REFUSED, *SIGN_INS)
    if entry.action in SIGN_INS:
        return any(one.knows(client_id) for one in sharing_address(inside, payer))
    return payer.knows(client_id)


def sharing_address(inside: Inside, payer: Payer) -> Iterator[Payer]:
    """Yield the viewers who sign in to the viewer's practice with the viewer's address."""
    here = payer.bearer
    for one in inside.households.bearers:
        if one.practice == here.practice and address(one.sort) == address(here.sort):
            yield Payer(payer.facts, one)
