"""`python -m tests.payments.campaign --clients 1000 --seed 1`: the whole campaign, on both
databases."""

import argparse
import asyncio
import secrets
import sys
import time

from tests.payments.campaign.report import counted, table
from tests.payments.campaign.run import Wanted, campaign

KINDS = ("sqlite", "postgresql")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.payments.campaign", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000, help="on each database")
    parser.add_argument("--seed", default=str(secrets.randbelow(10**6)))
    parser.add_argument("--at-once", type=int, default=24, help="clients at the same time")
    parser.add_argument("--database", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--only", type=int, nargs="*", default=[], help="clients by their index")
    parser.add_argument("--seconds", type=float, default=3600, help="then no more clients come")
    parser.add_argument("--calm", action="store_true", help="without any fault")
    given = parser.parse_args()
    wanted = Wanted(
        given.clients, given.seed, given.at_once, tuple(given.only), given.calm, given.seconds
    )
    kinds = KINDS if given.database == "both" else (given.database,)
    wrong = [found for kind in kinds for found in tell(wanted, kind)]
    if wrong:
        print(*wrong, sep="\n")
        sys.exit(f"To repeat it: {again(wanted)}")


def again(wanted: Wanted) -> str:
    """Return the command that draws the same campaign once more."""
    sizes = f"--clients {wanted.clients} --at-once {wanted.at_once}"
    return f"python -m tests.campaign --seed {wanted.seed} {sizes}"


def tell(wanted: Wanted, kind: str) -> list[str]:
    """Run a campaign, print its table, and return its findings."""
    began = time.monotonic()
    result = asyncio.run(campaign(wanted, is_sqlite=kind == "sqlite"))
    seconds = time.monotonic() - began
    print(f"\n{kind}: {result.clients:,} clients, seed {wanted.seed}, {seconds:.0f} s\n")
    print(*table(result.findings, result.tried), "", *counted(result.counts), sep="\n")
    return [f"{kind}: {line}" for line in result.all]


if __name__ == "__main__":
    main()
