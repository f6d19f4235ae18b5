"""Generated operations for as long as one likes: python -m tests.soak MINUTES.

Each round has practices and operations of its own; a round that fails says how to repeat it.
"""

import os
import re
import secrets
import subprocess
import sys
import time

OPERATIONS = 500
ROUND = (sys.executable, "-m", "pytest", "-q", "-s", "tests/test_generated.py")
TALLY = re.compile(r"^\.*(sqlite|postgresql): (\d+) planned, (\d+) refused$", re.MULTILINE)


def soak(minutes: float) -> int:
    """Rounds until the time is over, at least one; how many operations were tried."""
    tried, ends = 0, time.monotonic() + minutes * 60
    while tried == 0 or time.monotonic() < ends:
        seed = secrets.randbelow(10**9)
        tried += operations_of(seed)
        print(f"{tried:,} operations, each with one answer (seed {seed})", flush=True)
    return tried


def operations_of(seed: int) -> int:
    """How many operations of this seed were tried, on both databases; stops where one failed."""
    given = {"PRACTICES_SEED": str(seed), "GENERATED_OPERATIONS": str(OPERATIONS), "CI": "true"}
    done = subprocess.run(ROUND, env=os.environ | given, text=True, capture_output=True)
    tallies = TALLY.findall(done.stdout)
    if done.returncode or len(tallies) != 2:
        settings = " ".join(f"{name}={value}" for name, value in given.items())
        sys.exit(f"{done.stdout}{done.stderr}\nTo repeat it: {settings} {' '.join(ROUND[1:])}")
    return sum(int(planned) + int(refused) for _, planned, refused in tallies)


if __name__ == "__main__":
    soak(float(sys.argv[1]))
