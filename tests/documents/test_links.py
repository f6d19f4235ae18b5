"""Links to documents: for which viewers they open, for how long, and that altered ones do not."""

import datetime as dt
import random
import string
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
from sqlalchemy import select, update

from billing.documents.links import LASTS, Signer
from identity import tokens
from identity.token_keys import hashed
from identity.tokens import Subject
from models import (
    ContactRight,
    Invoice,
    Scope,
    Superbill,
    Token,
)
from server.http.documents import content_disposition
from tests.support import shares
from tests.support.document_links import BASE, MODELS, NAMES, QUERY, WAYS, get, link, made, text
from tests.support.factories import Books
from tests.support.portal import KEY, Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
# Links tried on each database with a letter, part or digit changed.
FUZZED = shares.number(5_000, quick=500)


@pytest.fixture(scope="module")
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url, public_url=BASE) as it:
        yield it


def is_refused(response: httpx.Response) -> bool:
    return (response.status_code, response.content) == (404, REFUSED)


# The body of every refusal, for each reason.
REFUSED = b"".join(
    [
        b'<!doctype html>\n<html lang="en"><meta charset="utf-8">',
        b'<meta name="viewport" content="width=device-width">\n',
        b"<title>This link does not work</title>\n<h1>This link does not work</h1>\n",
        b"<p>Links to documents work for ten minutes, and only for the person they were made for.",
        b" Open the document from the billing page again.</p>\n</html>\n",
    ]
)


# -- valid links -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("prefix", MODELS)
async def test_link_opens_its_document(portal: Portal, prefix: str, way: str) -> None:
    id_ = await made(portal, prefix, number=f"{prefix.upper()}-2026-0042")
    found = await link(portal, id_)
    assert found["fileName"] == f"{NAMES[prefix]} {prefix.upper()}-2026-0042.pdf"
    assert found["expiresAt"] == "2026-03-15T12:10:00Z"
    assert found[way].startswith(f"{BASE}/documents/{id_}/")
    response = await get(portal, found[way])
    assert response.status_code == 200
    assert f"{prefix.upper()}-2026-0042" in text(response.content)
    headers = response.headers
    assert headers["content-type"] == "application/pdf"
    assert headers["content-disposition"].startswith(f'{WAYS[way]}; filename="{NAMES[prefix]} ')
    assert headers["cache-control"] == "private, no-store"
    assert headers["referrer-policy"] == "no-referrer"


async def test_link_contains_no_credential(portal: Portal) -> None:
    token = await portal.token()
    found = await link(portal, await made(portal, "inv"), token)
    async with portal.engine.connect() as conn:
        hashes = (await conn.execute(select(Token.hash))).scalars().all()
    for way in WAYS:
        assert token not in found[way]
        assert not any(hash_ in found[way] for hash_ in hashes)
        assert KEY not in found[way]


async def test_head_request_gets_no_body(portal: Portal) -> None:
    found = await link(portal, await made(portal, "inv"))
    path = found["printUrl"].removeprefix(BASE)
    response = await portal.http.head(path)
    assert response.status_code == 200
    assert int(response.headers["content-length"]) > 1_000
    assert (await portal.http.post(path)).status_code == 405


async def test_guardian_and_dashboard_open_visible_documents(portal: Portal) -> None:
    id_ = await made(portal, "stm", number="STM-7")
    guardian = await portal.token(Subject(portal.practice_id, contact_id=portal.guardian_id))
    dashboard = await portal.token(
        Subject(portal.practice_id), scopes=frozenset(tokens.PERSONAL_SCOPES)
    )
    for token in (guardian, dashboard):
        found = await link(portal, id_, token)
        assert "STM-7" in text((await get(portal, found["printUrl"])).content)


@pytest.mark.parametrize(
    "number", ["Rechnung Nr. 7/2026", "請求書 42", 'a"b\\c\r\nX-Evil: 1', "100%", ""]
)
async def test_any_document_number_makes_a_safe_file_name(portal: Portal, number: str) -> None:
    found = await link(portal, await made(portal, "inv", number=number))
    assert found["fileName"] == f"Invoice {number}.pdf"
    response = await get(portal, found["downloadUrl"])
    header = response.headers["content-disposition"]
    assert "x-evil" not in response.headers
    assert header.isascii()
    assert header == f"attachment; {content_disposition(found['fileName'])}"
    encoded = header.partition("filename*=UTF-8''")[2]
    assert httpx.URL(f"http://x/?q={encoded}").params["q"] == found["fileName"]


# -- invalid links ---------------------------------------------------------------------------------


async def test_link_altered_in_any_part_is_refused(portal: Portal) -> None:
    first, second = await made(portal, "inv"), await made(portal, "inv")
    found, other = await link(portal, first), await link(portal, second)
    url = found["printUrl"]
    path, _, query = url.partition("?")
    viewer, expires, signature = (part.partition("=")[2] for part in query.split("&"))
    altered = {
        "another document": url.replace(first, second),
        "another kind": url.replace("inv_", "sbl_"),
        "another way": url.replace("/print?", "/download?"),
        "another viewer": url.replace(viewer, portal.client_id),
        "later": url.replace(expires, str(int(expires) + 1)),
        "earlier": url.replace(expires, str(int(expires) - 1)),
        "another's signature": f"{path}?{query.replace(signature, other['printUrl'][-64:])}",
        "no signature": url.replace(signature, ""),
        "a shorter signature": url[:-1],
        "a longer signature": url + "0",
        "no query": path,
        "in capitals": f"{path}?{query.replace(signature, signature.upper())}",
        "said twice": f"{url}&signature={signature}",
        "something more": f"{url}&more=1",
        "in another order": f"{path}?expires={expires}&viewer={viewer}&signature={signature}",
        "encoded": url.replace("inv_", "%69nv_"),
        "a slash": url.replace("/print", "//print"),
        "a longer path": url.replace("/print", "/print/x"),
        "a line's end": url + "%0A",
    }
    assert len({*altered.values(), url}) == len(altered) + 1
    for what, wrong in altered.items():
        assert is_refused(await get(portal, wrong)), what
    assert (await get(portal, url)).status_code == 200


async def test_link_expires_after_ten_minutes(portal: Portal) -> None:
    found = await link(portal, await made(portal, "rct"))
    began = portal.clock.time
    try:
        portal.clock.time = began + LASTS - dt.timedelta(seconds=1)
        assert (await get(portal, found["printUrl"])).status_code == 200
        portal.clock.time = began + LASTS
        assert is_refused(await get(portal, found["printUrl"]))
    finally:
        portal.clock.time = began


async def test_signed_link_with_a_later_expiry_is_refused(portal: Portal) -> None:
    id_, viewer = await made(portal, "inv"), await token_id(portal)
    for minutes, status in ((0, 200), (1, 404), (525_600, 404)):
        signed = forged(portal, id_, viewer, after=dt.timedelta(minutes=minutes))
        assert (await get(portal, signed)).status_code == status


async def token_id(portal: Portal, subject: Subject | None = None, *scopes: Scope) -> str:
    """Create a token, and return its id, which is a part of its links."""
    given = frozenset(scopes) or frozenset(tokens.PERSONAL_SCOPES)
    await portal.token(subject, scopes=given)
    async with portal.engine.connect() as conn:
        return str(await conn.scalar(select(Token.id).order_by(Token.id.desc()).limit(1)))


def forged(
    portal: Portal,
    id_: str,
    viewer: str,
    *,
    after: dt.timedelta = dt.timedelta(),
    key: str = KEY,
) -> str:
    """Return a link signed like the server's own."""
    links = Signer(BASE, key).links(viewer, portal.clock() + after)
    return f"{links.stem}{id_}/print{links.query}{links.signature(id_, 'print')}"


async def test_link_signed_with_another_key_is_refused(portal: Portal) -> None:
    id_, viewer = await made(portal, "inv"), await token_id(portal)
    assert (await get(portal, forged(portal, id_, viewer))).status_code == 200
    assert is_refused(await get(portal, forged(portal, id_, viewer, key=KEY[::-1])))


async def test_link_expires_with_its_token(portal: Portal) -> None:
    id_, token = await made(portal, "inv"), await portal.token()
    found = await link(portal, id_, token)
    assert (await get(portal, found["printUrl"])).status_code == 200
    async with portal.engine.begin() as conn:
        statement = select(Token.id).where(Token.hash == hashed(token, KEY))
        assert await tokens.revoke_token(conn, str(await conn.scalar(statement)), portal.clock())
    assert is_refused(await get(portal, found["printUrl"]))


async def test_link_ends_with_the_contacts_right_to_see_documents(portal: Portal) -> None:
    guardian = Subject(portal.practice_id, contact_id=portal.guardian_id)
    id_ = await made(portal, "inv", portal.other_id)
    found = await link(portal, id_, await portal.token(guardian))
    condition = ContactRight.client_id == portal.other_id
    assert (await get(portal, found["printUrl"])).status_code == 200
    async with portal.engine.begin() as conn:
        await conn.execute(
            update(ContactRight).where(condition).values(sees_documents=False, can_pay=True)
        )
    assert is_refused(await get(portal, found["printUrl"]))
    async with portal.engine.begin() as conn:
        await conn.execute(
            update(ContactRight).where(condition).values(sees_documents=True, can_pay=False)
        )


async def test_link_ends_with_the_last_day_of_the_contacts_right(portal: Portal) -> None:
    guardian = Subject(portal.practice_id, contact_id=portal.guardian_id)
    id_, noon = await made(portal, "inv", portal.other_id), portal.clock.time
    right = update(ContactRight).where(ContactRight.client_id == portal.other_id)
    async with portal.engine.begin() as conn:
        await conn.execute(right.values(until=dt.date(2026, 3, 15)))
    # Midnight of New York is four hours later than that of UTC.
    portal.clock.time = dt.datetime(2026, 3, 16, 3, 59, tzinfo=dt.UTC)
    found = await link(portal, id_, await portal.token(guardian))
    assert (await get(portal, found["printUrl"])).status_code == 200
    portal.clock.time += dt.timedelta(minutes=1)
    assert is_refused(await get(portal, found["printUrl"]))
    portal.clock.time = noon
    async with portal.engine.begin() as conn:
        await conn.execute(right.values(until=None))


async def test_link_ends_when_the_document_is_unshared(portal: Portal) -> None:
    id_ = await made(portal, "sbl")
    found = await link(portal, id_)
    assert (await get(portal, found["printUrl"])).status_code == 200
    async with portal.engine.begin() as conn:
        condition = Superbill.id == id_[4:]
        await conn.execute(update(Superbill).where(condition).values(shared_at=None))
    assert is_refused(await get(portal, found["printUrl"]))


async def test_signed_link_to_an_invisible_document_is_refused(portal: Portal) -> None:
    """The signature authenticates the viewer; the database decides about the viewer's rows."""
    mine = await token_id(portal)
    theirs = await made(portal, "inv", portal.other_id)
    unshared = await made(portal, "inv", shared_at=None)
    async with portal.engine.begin() as conn:
        elsewhere = await Books.opened(conn)
        foreign = await elsewhere.document(Invoice, shared_at=portal.clock())
    for id_ in (theirs, unshared, f"inv_{foreign}", "inv_00000000-0000-7000-8000-000000000000"):
        assert is_refused(await get(portal, forged(portal, id_, mine))), id_


@pytest.mark.parametrize("lacking", [Scope.DOCUMENTS_READ, Scope.PHI_READ])
async def test_document_link_needs_documents_and_phi_scopes(portal: Portal, lacking: Scope) -> None:
    subject, id_ = Subject(portal.practice_id), await made(portal, "inv")
    scopes = frozenset(tokens.PERSONAL_SCOPES) - {lacking}
    response = await portal.ask(QUERY, await portal.token(subject, scopes=scopes), id=id_)
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "SCOPE_REQUIRED"
    assert error["extensions"]["scope"] == lacking.written
    assert "DocumentLink.printUrl" in error["extensions"]["fields"]
    viewer = await token_id(portal, subject, *scopes)
    assert is_refused(await get(portal, forged(portal, id_, viewer)))


@pytest.mark.campaign
async def test_no_altered_link_opens_a_document(portal: Portal) -> None:
    chance = random.Random(7)
    ids = [await made(portal, prefix) for prefix in MODELS]
    links = [(await link(portal, id_))[way] for id_ in ids for way in WAYS]
    tried = {fuzzed(chance, links) for _ in range(FUZZED * 2)} - set(links)
    assert len(tried) >= FUZZED
    for url in sorted(tried)[:FUZZED]:
        response = await get(portal, url)
        # The router rejects a path with a line break.
        is_no_address = (response.status_code, response.content) == (404, b"Not Found")
        assert is_refused(response) or is_no_address, url
    for url in links:
        assert (await get(portal, url)).status_code == 200


def fuzzed(chance: random.Random, links: list[str]) -> str:
    """Return a link with some letters changed, moved, lost, or taken from another link."""
    stem = f"{BASE}/documents/"
    url = chance.choice(links).removeprefix(stem)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        at, to = sorted(chance.choices(range(len(url)), k=2))
        letter = chance.choice(string.hexdigits + "-_/?&=.~+,;:@!$'()*%25%00%2F")
        other = chance.choice(links).removeprefix(stem)
        url = chance.choice(
            [
                url[:at] + letter + url[at + 1 :],
                url[:at] + letter + url[at:],
                url[:at] + url[at + 1 :],
                url[:at] + url[to:],
                url[:at] + url[at:to][::-1] + url[to:],
                url[:at] + other[at:],
                url[:at] + url[at:to].swapcase() + url[to:],
                url[to:] + url[:to],
            ]
        )
    return stem + url
