"""Fixtures of the tests of commands: a small practice, and a complete environment."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.support.checks import KEYS
from tests.support.portal import KEY, Portal, served

NewDatabase = Callable[[], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="module")
async def filled(new_database: NewDatabase) -> AsyncIterator[Portal]:
    """Yield a database with one practice, which each test leaves as it was."""
    async with new_database() as url, served(url) as portal:
        yield portal


@pytest.fixture
def configured(filled: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    """Set a complete environment: the sandbox, and no mail."""
    monkeypatch.chdir(tmp_path)
    for name in (*KEYS, "SMTP_URL", "MAIL_FROM", "FONT_PATHS", "FIELD_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", filled.url)
    monkeypatch.setenv("TOKEN_KEY", KEY)
    monkeypatch.setenv("SANDBOX", "true")
    return filled
