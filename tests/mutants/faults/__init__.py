"""Faults planted one at a time, for the comparison with the oracle to find."""

from collections.abc import Callable

import pytest

Plant = Callable[[pytest.MonkeyPatch], None]
FAULTS: dict[str, Plant] = {}
# Faults in data that is cached with a document; the others are in plans, at most.
IN_DOCUMENTS: set[str] = set()


def fault(plant: Plant) -> Plant:
    FAULTS[named(plant)] = plant
    return plant


def fault_in_documents(plant: Plant) -> Plant:
    IN_DOCUMENTS.add(named(plant))
    return fault(plant)


def named(plant: Plant) -> str:
    return plant.__name__.replace("_", " ")
