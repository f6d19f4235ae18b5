"""Search of clients: a name is found as typed on any keyboard, alike on both databases."""

import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from identity.tokens import Subject
from models import READ_SCOPES, Client, ClientNamePart
from models.ids import new_id
from models.names import fold_name, folded_email, mailbox, name_parts
from tests.oracle import names as oracle
from tests.support.portal import Portal, served

pytestmark = pytest.mark.twins(1)

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
SEARCH = "query ($search: String) { clients(search: $search) { totalCount nodes { name } } }"
NAMES = (
    "Søren Kierkegaard",
    "Łukasz Wałęsa",
    "Đặng Thị Ánh",
    "Ali Yıldız",
    "Renée O'Hara-Lindqvist",
    "Siobhán O’Brien",
    "Dana Strauß",
    "Ægir Œuvrard",
    "Þóra Guðrún",
    "Zero\u200bWidth",
    "Ｆｕｌｌ Ｗｉｄｔｈ",
    unicodedata.normalize("NFD", "Zoë Müller"),
    "ΣΊΣΥΦΟΣ Παπάς",
    "王小明",
    "कुमार गुप्ता",
    "🙂",
)
# Search texts, and the names that they find.
TYPED = {
    "soren": {"Søren Kierkegaard"},
    "SØREN": {"Søren Kierkegaard"},
    "lukasz wal": {"Łukasz Wałęsa"},
    "dang": {"Đặng Thị Ánh"},
    "yildiz": {"Ali Yıldız"},
    "YILDIZ": {"Ali Yıldız"},
    "ohara": {"Renée O'Hara-Lindqvist"},
    "o’hara": {"Renée O'Hara-Lindqvist"},
    "o hara": {"Renée O'Hara-Lindqvist"},
    "hara": {"Renée O'Hara-Lindqvist"},
    "o'b": {"Siobhán O’Brien"},
    "strauss": {"Dana Strauß"},
    "aegir oe": {"Ægir Œuvrard"},
    "thora gud": {"Þóra Guðrún"},
    "zerowidth": {"Zero\u200bWidth"},
    "zero\u00adwidth": {"Zero\u200bWidth"},
    "full wi": {"Ｆｕｌｌ Ｗｉｄｔｈ"},
    "zoe mu": {unicodedata.normalize("NFD", "Zoë Müller")},
    "σισυφος": {"ΣΊΣΥΦΟΣ Παπάς"},
    "王": {"王小明"},
    "कुमार": {"कुमार गुप्ता"},
    "कमार": set(),
    "": set(NAMES),
    "  ": set(NAMES),
    "🙂": set(),
    "-": set(),
    "%": set(),
    "_": set(),
    "'": set(),
    "\u200b": set(),
    "\U0010ffff": set(),
}


@pytest.fixture
async def portal(new_database: NewDatabase) -> AsyncIterator[Portal]:
    async with new_database() as url, served(url) as it:
        own = {"practice_id": it.practice_id, "created_at": it.clock()}
        clients = [own | {"id": new_id(), "name": name} for name in NAMES]
        await it.insert(Client, *clients)
        await it.insert(ClientNamePart, *(part for one in clients for part in name_parts(one)))
        yield it


async def test_names_are_found_as_they_are_typed(portal: Portal) -> None:
    token = await portal.token(Subject(portal.practice_id), scopes=READ_SCOPES)
    for typed, names in TYPED.items():
        found = (await portal.ask(SEARCH, token, search=typed)).json()["data"]["clients"]
        assert {node["name"] for node in found["nodes"]} == names, typed
        assert found["totalCount"] == len(names)


@pytest.mark.parametrize("typed", TYPED)
def test_oracle_finds_the_same_names(typed: str) -> None:
    assert {name for name in NAMES if oracle.is_named(name, typed)} == TYPED[typed]


LETTERS = "aeioszßøłđħŧıIİðþŋəæœéñüŀｅＡﬁΣς王ุ-_.%'’´ʼ\u0301\u0327\u200b\u00ad\ufe0f 🙂7½"
SPELLINGS = st.text(st.sampled_from(LETTERS + LETTERS.upper()), max_size=12)


@given(SPELLINGS, SPELLINGS)
def test_names_are_folded_as_the_oracle_folds_them(name: str, search: str) -> None:
    assert fold_name(name) == oracle.folded(name)
    texts = [row["text"] for row in name_parts({"practice_id": "", "id": "", "name": name})]
    beginning = fold_name(search)
    is_found = any(text.startswith(beginning) for text in texts) and bool(beginning)
    assert (is_found or not search.strip()) == oracle.is_named(name, search)


@given(st.text(max_size=20))
def test_folding_accepts_any_text_and_is_idempotent(text: str) -> None:
    assert fold_name(fold_name(text)) == fold_name(text)
    assert len({row["position"] for row in name_parts({"practice_id": "", "id": "", "name": text})})


# -- e-mail addresses ------------------------------------------------------------------------------

ADDRESSES = (
    *("ana@example.com", " ANA@Example.COM ", "JOSÉ@example.com", "josé@example.com"),
    *("İ@example.com", "\u212aelvin@a.example", "ǅ@example.com", "STRASSE@ß.example"),
)


async def test_email_addresses_are_folded_alike_in_databases_and_python(
    portal: Portal,
) -> None:
    async with portal.engine.connect() as conn:
        for address in ADDRESSES:
            assert await conn.scalar(select(folded_email(address))) == mailbox(address)
