"""The table at the end of a campaign, with upper bounds at 95 %."""

import math
from collections import Counter

from tests.payments.campaign.oracle import Finding

CONFIDENCE = 0.95


def upper_bound(found: int, tried: int) -> float:
    """Return the upper bound of a share at 95 %, one-sided, by Clopper and Pearson.

    With nothing found it is the rule of three.
    """
    if tried == 0 or found >= tried:
        return 1.0
    low, high = found / tried, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if at_most(found, tried, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def at_most(found: int, tried: int, share: float) -> float:
    """Return the probability of at most this many findings at a share of faults."""
    return sum(
        math.comb(tried, k) * share**k * (1 - share) ** (tried - k) for k in range(found + 1)
    )


def table(verdict: dict[str, list[Finding]], tried: dict[str, int]) -> list[str]:
    lines = [f"| {'':30} | found | of | at most, at 95 % |", "|---|---:|---:|---:|"]
    for name, findings in verdict.items():
        bound = upper_bound(len(findings), tried[name])
        lines.append(f"| {name:30} | {len(findings)} | {tried[name]:,} | {bound:.2%} |")
    return lines


def counted(counts: Counter[str]) -> list[str]:
    return [f"  {count:>7,}  {name}" for name, count in sorted(counts.items())]
