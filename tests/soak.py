"""Generated operations, killed servers and crash campaigns for any length of time.

`python -m tests.soak MINUTES`: each round has practices, operations, kills and clients of its own.
A failed round prints how to repeat it.
"""

import asyncio
import os
import re
import secrets
import subprocess
import sys
import time

from tests.payments.campaign import __main__ as campaign_command
from tests.payments.campaign import run as campaign
from tests.payments.campaign.__main__ import KINDS
from tests.payments.crash_tests import soak as killed
from tests.support import postgres

OPERATIONS = 500
KILLING_S = 60
CLIENTS = 200
ROUND = (sys.executable, "-m", "pytest", "-q", "-s", "tests/api/test_generated.py")
TALLY = re.compile(r"^\.*(sqlite|postgresql): (\d+) planned, (\d+) refused$", re.MULTILINE)


def soak(minutes: float) -> None:
    """Run rounds until the time is over, at least one."""
    tried, kills, ends = 0, 0, time.monotonic() + minutes * 60
    with postgres.server() as url:
        if url is None:
            sys.exit(f"No PostgreSQL was found: {postgres.HOW_TO_GET}.")
        while tried == 0 or time.monotonic() < ends:
            seed = secrets.randbelow(10**9)
            tried += operations_of(seed)
            print(f"{tried:,} operations, each with one answer (seed {seed})", flush=True)
            kills += asyncio.run(killed.soak(url, KILLING_S, seed))
            print(
                f"{kills:,} kills of a server that takes a payment: charged twice 0, lost 0, ledger"
                f" unlike Stripe's 0, not at rest 0 (95 %: fewer than {killed.bound(kills)})",
                flush=True,
            )
            if wrong := campaigns_of(seed):
                sys.exit("\n".join(wrong))


def campaigns_of(seed: int) -> list[str]:
    """Run a crash campaign of this seed on both databases; print its tables and return the
    findings.
    """
    wanted = campaign.Wanted(CLIENTS, str(seed))
    found = [line for kind in KINDS for line in campaign_command.tell(wanted, kind)]
    return [*found, *([f"To repeat it: {campaign_command.again(wanted)}"] if found else [])]


def operations_of(seed: int) -> int:
    """Run operations of this seed on both databases and return their number; exit at a failure."""
    given = {"PRACTICES_SEED": str(seed), "GENERATED_OPERATIONS": str(OPERATIONS), "CI": "true"}
    done = subprocess.run(ROUND, env=os.environ | given, text=True, capture_output=True)
    tallies = TALLY.findall(done.stdout)
    if done.returncode or len(tallies) != 2:
        settings = " ".join(f"{name}={value}" for name, value in given.items())
        sys.exit(f"{done.stdout}{done.stderr}\nTo repeat it: {settings} {' '.join(ROUND[1:])}")
    return sum(int(planned) + int(refused) for _, planned, refused in tallies)


if __name__ == "__main__":
    soak(float(sys.argv[1]))
