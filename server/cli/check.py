"""The command `portal check`: whether everything that the portal depends on works."""

from collections.abc import Callable

import orjson

from server.cli.checks.check import CheckOutcome, CheckResult, run_checks
from server.cli.checks.registry import EVERY_CHECK
from server.command_errors import CommandError
from server.settings import from_environment

SETTINGS = "settings"
WIDTHS = (
    max(map(len, CheckOutcome)),
    max(len(name) for name in (SETTINGS, *(check.name for check in EVERY_CHECK))),
)


async def check_everything(echo: Callable[[str], None], *, as_json: bool) -> bool:
    """Print a line for each check, or all results as JSON. Return whether none failed."""
    results: dict[str, CheckResult] = {}

    def tell(name: str, result: CheckResult) -> None:
        results[name] = result
        if not as_json:
            echo(line_of_check(name, result))

    await make_checks(tell)
    passed = all(result.outcome is not CheckOutcome.FAILED for result in results.values())
    if as_json:
        checks = [
            {"name": name, "outcome": result.outcome, "sentence": result.sentence}
            | {"preventsStart": result.prevents_start}
            for name, result in results.items()
        ]
        echo(orjson.dumps({"passed": passed, "checks": checks}).decode())
    return passed


async def make_checks(tell: Callable[[str, CheckResult], None]) -> None:
    """Check the settings first. Without them all other checks are skipped."""
    try:
        settings = from_environment()
    except CommandError as error:
        tell(SETTINGS, CheckResult.fatal(" ".join(str(error).splitlines())))
        for check in EVERY_CHECK:
            tell(check.name, CheckResult.skipped(f"This needs another check: {SETTINGS}."))
        return
    tell(SETTINGS, CheckResult.ok("The settings of the environment are complete and consistent."))
    await run_checks(EVERY_CHECK, settings, tell)


def line_of_check(name: str, result: CheckResult) -> str:
    return f"{result.outcome:<{WIDTHS[0]}}  {name:<{WIDTHS[1]}}  {result.sentence}"
