"""Faults planted one at a time, for the comparison with the oracle to tell."""

from collections.abc import Callable

import pytest

Plant = Callable[[pytest.MonkeyPatch], None]
FAULTS: dict[str, Plant] = {}


def fault(plant: Plant) -> Plant:
    FAULTS[plant.__name__.replace("_", " ")] = plant
    return plant
