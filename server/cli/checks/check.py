"""A check, its result, and how checks are run one after another."""

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.payments.status import PaymentsMode
from billing.stripe import Stripe
from models import database
from server.cli.console import database_sentence
from server.command_errors import CommandError
from server.settings import Settings
from server.stripe_client import stripe_client

# The number of faults of one kind that a sentence names.
NAMED = 5


class CheckOutcome(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class CheckResult:
    """The result of a check, as a sentence. `prevents_start`: the server must not serve."""

    outcome: CheckOutcome
    sentence: str
    prevents_start: bool = False

    @classmethod
    def ok(cls, sentence: str) -> "CheckResult":
        return cls(CheckOutcome.OK, sentence)

    @classmethod
    def warning(cls, sentence: str) -> "CheckResult":
        """Return the result for something that may be intended."""
        return cls(CheckOutcome.WARNING, sentence)

    @classmethod
    def failed(cls, sentence: str) -> "CheckResult":
        """Return the result for something that does not work; the server starts without it."""
        return cls(CheckOutcome.FAILED, sentence)

    @classmethod
    def fatal(cls, sentence: str) -> "CheckResult":
        """Return the result for something that the server does not start with."""
        return cls(CheckOutcome.FAILED, sentence, prevents_start=True)

    @classmethod
    def skipped(cls, sentence: str) -> "CheckResult":
        return cls(CheckOutcome.SKIPPED, sentence)


@dataclass(frozen=True)
class CheckContext:
    """The settings, the database, and Stripe unless payments go to the sandbox."""

    settings: Settings
    engine: AsyncEngine
    stripe: Stripe | None


@dataclass(frozen=True)
class Check:
    """A named check. It is skipped if a check that it needs was not passed."""

    name: str
    make: Callable[[CheckContext], Awaitable[CheckResult]]
    needs: frozenset[str] = frozenset()


async def run_checks(
    checks: Sequence[Check], settings: Settings, tell: Callable[[str, CheckResult], None]
) -> None:
    """Make the checks in their order, and call `tell` with each name and result."""
    unmet: set[str] = set()
    async with check_context(settings) as context:
        for check in checks:
            if missing := sorted(check.needs & unmet):
                result = CheckResult.skipped(f"This needs another check: {', '.join(missing)}.")
            else:
                result = await result_of(check, context)
            if result.outcome in (CheckOutcome.FAILED, CheckOutcome.SKIPPED):
                unmet.add(check.name)
            tell(check.name, result)


async def result_of(check: Check, context: CheckContext) -> CheckResult:
    """Return the result of a check. A known error is a result too."""
    try:
        return await check.make(context)
    except CommandError as error:
        return CheckResult.fatal(" ".join(str(error).split("\n")))
    except Exception as error:
        sentence = database_sentence(error)
        if sentence is None:
            raise
        return CheckResult.fatal(sentence)


@asynccontextmanager
async def check_context(settings: Settings) -> AsyncIterator[CheckContext]:
    is_sandbox = settings.mode is PaymentsMode.SANDBOX
    stripe = None if is_sandbox else stripe_client(settings)
    try:
        async with database.open_engine(settings.database_url) as engine:
            yield CheckContext(settings, engine, stripe)
    finally:
        if stripe is not None:
            await stripe.close()


def listed(sentences: Sequence[str]) -> str:
    """Return the first sentences, and the number of the others."""
    more = len(sentences) - NAMED
    return " ".join([*sentences[:NAMED], *([f"And {more:,} more."] if more > 0 else [])])
