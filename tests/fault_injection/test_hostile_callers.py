"""Hostile callers for some seconds: another client is answered, and nobody finds a defect."""

import pytest

from bench import hostile
from bench.hostile_callers import AT_ONCE

SECONDS, CLIENTS = 5, 200


@pytest.mark.faults
async def test_a_neighbour_is_answered_while_callers_are_hostile(postgres_url: str) -> None:
    # Whatever isn't the neighbour's page is an error already.
    quiet, one, every = await hostile.measure(postgres_url, SECONDS, CLIENTS, AT_ONCE)
    assert min(len(phase.took) for phase in (quiet, one, every)) > SECONDS
    assert "200" in one.answers
    assert hostile.INTERNAL not in one.answers.keys() | every.answers.keys()
    assert every.resident_mb - quiet.resident_mb < hostile.MOST_MB
