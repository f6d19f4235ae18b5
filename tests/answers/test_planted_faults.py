"""The judge notices a kept answer whose key or versions lack a part."""

import datetime as dt
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import literal_column, update

from execution import authentication
from execution.answer_cache import AnswerCache
from execution.request_viewer import TokenViewer
from identity import data_versions
from models import Client, ContactRight, Practice, Token, ViewerKind
from models.database import open_engine
from models.versioned_tables import SHARED as PRACTICES_PART
from tests.answers.servers import Judge, OldAnswer, judging
from tests.answers.world import FILLED_CLIENT, FILLED_CONTACT, World, world

pytestmark = [pytest.mark.campaign, pytest.mark.rest, pytest.mark.twins(4)]

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]
Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
async def filled(new_database: NewDatabase) -> AsyncIterator[World]:
    async with new_database() as url, world(url, 1, generated=1) as made:
        yield made


async def play(made: World) -> None:
    """Make one change of each kind, and compare all reads after it."""
    async with judging(made.url, made.secrets) as judge, open_engine(made.owner_url) as engine:
        await judge.check_all(made.wide)
        await pass_a_day(judge)
        await judge.check_all(made.wide)
        for statement in (
            update(Practice).values(name="Renamed"),
            update(Client).where(Client.id.in_(made.filled)).values(phone="+1 555 0199"),
            update(ContactRight).values(sees_documents=False, can_pay=True),
            update(Token).where(Token.id.in_(made.filled)).values(revoked_at=judge.clock()),
        ):
            async with engine.begin() as conn:
                await conn.execute(statement)
            judge.note(str(statement))
            await judge.check_all(made.wide)


async def pass_a_day(judge: Judge) -> None:
    judge.clock.time += dt.timedelta(days=1)
    judge.note("a day")


async def test_nothing_is_found_without_a_fault(filled: World) -> None:
    assert {FILLED_CLIENT, FILLED_CONTACT} <= {case.who for case in filled.wide}
    await play(filled)


def without_the_day(patch: pytest.MonkeyPatch) -> None:
    right = AnswerCache.key

    def wrong(self: AnswerCache, *given: Any) -> Any:
        key = right(self, *given)
        return key and tuple(one for one in key if not DAY.match(str(one)))

    patch.setattr(AnswerCache, "key", wrong)


def without_the_practices_rows(patch: pytest.MonkeyPatch) -> None:
    """The versions of a client's or a contact's answers are those of the clients alone."""
    right = data_versions.versions_of

    def wrong(token: Any, kind: ViewerKind, scope: Any) -> Any:
        if kind is ViewerKind.CLIENT:
            return data_versions.version(token, token.c.client_id)
        if kind is ViewerKind.CONTACT:
            return data_versions.versions_of_clients(token)
        return right(token, kind, scope)

    patch.setattr(authentication, "versions_of", wrong)


def without_the_rights(patch: pytest.MonkeyPatch) -> None:
    """The versions of a contact's answers are those of the practice's rows alone."""
    right = data_versions.versions_of

    def wrong(token: Any, kind: ViewerKind, scope: Any) -> Any:
        if kind is ViewerKind.CONTACT:
            return data_versions.version(token, literal_column(SHARED))
        return right(token, kind, scope)

    patch.setattr(authentication, "versions_of", wrong)


def without_the_look_up(patch: pytest.MonkeyPatch) -> None:
    right, known = TokenViewer.versions, dict[Any, Any]()

    async def wrong(self: TokenViewer, scope: Any) -> Any:
        key = self.token, scope
        if key not in known:
            known[key] = await right(self, scope)
        self.is_verified = True
        return known[key]

    patch.setattr(TokenViewer, "versions", wrong)


# Both databases' forms of a day or a time, as a parameter.
DAY = re.compile(r"\d{4}-\d\d-\d\d($|[ T])")
SHARED = f"'{PRACTICES_PART}'"


@pytest.mark.parametrize(
    "plant",
    [without_the_day, without_the_practices_rows, without_the_rights, without_the_look_up],
)
async def test_planted_fault_is_noticed(
    filled: World, monkeypatch: pytest.MonkeyPatch, plant: Plant
) -> None:
    plant(monkeypatch)
    authentication.version_statements.cache_clear()
    try:
        with pytest.raises(OldAnswer):
            await play(filled)
    finally:
        authentication.version_statements.cache_clear()
