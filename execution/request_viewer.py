"""The viewer of a request, who is assumed at first and verified by the statement that answers it.

A request is prepared and planned for the last known viewer of its token, without asking the
database. The planned statement also looks the token up. What needs no statement, such as a refusal
or a change, is preceded by a look-up of its own. So nothing leaves the server before the viewer is
verified, and the rights that it was prepared for are those of the verified viewer.
"""

import datetime as dt
from collections.abc import Awaitable
from typing import Any, TypeVar

from execution.authentication import Authenticator, CachedSession, ViewerChanged
from identity.viewer import Viewer
from models import DataScope
from models.database import Reads, Statement

T = TypeVar("T")


class UnknownToken(Exception):
    """A token that is unknown, expired, idle or revoked."""


class RequestViewer:
    """A viewer who is verified already, with the connections for the viewer's reads."""

    def __init__(self, viewer: Viewer, reads: Reads) -> None:
        self.viewer, self.reads = viewer, reads

    async def verify(self) -> None:
        """Return once the viewer is verified. Raise ViewerChanged if it is another one."""

    async def read(self, statement: Statement) -> Any:
        """Return the value of a statement for the verified viewer, or raise ViewerChanged."""
        sql, values = statement
        return await self.reads.value(sql, values, self.viewer.caller)

    async def versions(self, scope: DataScope) -> str | None:
        """Return the versions of a part of the viewer's data; None if it has none.

        A viewer without a token has none. Raise ViewerChanged as `read` does.
        """
        return None

    async def read_with_versions(
        self, statement: Statement, scope: DataScope
    ) -> tuple[str | None, Any]:
        """Return the versions and the value of a statement, both as of one moment."""
        return None, await self.read(statement)


class TokenViewer(RequestViewer):
    """The viewer of a token that was presented at the time `now`.

    After ViewerChanged, `viewer` is the changed one, and the request has to be prepared again.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        token: str,
        now: dt.datetime,
        session: CachedSession,
        *,
        is_verified: bool,
    ) -> None:
        super().__init__(session.viewer, authenticator.reads)
        self.authenticator, self.token, self.now = authenticator, token, now
        self.session, self.is_verified = session, is_verified

    @classmethod
    async def of(cls, authenticator: Authenticator, token: str, now: dt.datetime) -> "TokenViewer":
        """Return the last known viewer of a token. Only an unknown token is looked up at once."""
        if session := authenticator.cached_session(token):
            return cls(authenticator, token, now, session, is_verified=False)
        if session := await authenticator.session(token, now):
            return cls(authenticator, token, now, session, is_verified=True)
        raise UnknownToken

    async def verify(self) -> None:
        """Look the token up, unless that was done. Raise UnknownToken if it is not valid."""
        if self.is_verified:
            return
        assumed = self.viewer
        await self.look_up()
        if self.viewer != assumed:
            raise ViewerChanged("the viewer of the token has changed")

    async def read(self, statement: Statement) -> Any:
        return await self.verified_by(
            self.authenticator.authenticate_with(self.session, statement, self.now)
        )

    async def versions(self, scope: DataScope) -> str | None:
        return await self.verified_by(self.authenticator.versions(self.session, scope, self.now))

    async def read_with_versions(
        self, statement: Statement, scope: DataScope
    ) -> tuple[str | None, Any]:
        return await self.verified_by(
            self.authenticator.read_with_versions(self.session, scope, statement, self.now)
        )

    async def verified_by(self, reading: Awaitable[T]) -> T:
        """Return the result of a read that verifies the viewer."""
        try:
            value = await reading
        except ViewerChanged:
            await self.look_up()
            raise
        self.is_verified = True
        return value

    async def look_up(self) -> None:
        session = await self.authenticator.session(self.token, self.now)
        if session is None:
            raise UnknownToken
        self.session, self.viewer, self.is_verified = session, session.viewer, True
