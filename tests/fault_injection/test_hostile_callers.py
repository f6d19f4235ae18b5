"""Hostile callers for some seconds: another client is answered, and none meets a defect."""

import pytest

from bench import hostile
from bench.hostile_callers import ONE_DASHBOARD, TWENTY

SECONDS, CLIENTS = 5, 200


@pytest.mark.faults
async def test_neighbour_is_answered_while_callers_are_hostile(postgres_url: str) -> None:
    # The measurement itself fails if the neighbour gets another response than the page.
    phases = await hostile.measure(postgres_url, SECONDS, CLIENTS, TWENTY, {})
    quiet = phases[0]
    answers = {phase.name: phase.answers for phase in phases}
    assert min(len(phase.took) for phase in phases) > SECONDS
    assert "200" in answers[ONE_DASHBOARD]
    assert not [name for name, told in answers.items() if hostile.INTERNAL in told]
    assert max(phase.resident_mb for phase in phases) - quiet.resident_mb < hostile.MOST_MB
