"""Random operations: the planner, the fallback and the oracle give one answer.

GENERATED_OPERATIONS tries more operations. PRACTICES_SEED tries others, over other practices.
"""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.conftest import SEED
from tests.support import shares
from tests.support.comparison import Comparison
from tests.support.operations import operations
from tests.support.operations.pools import Pool, pools

pytestmark = pytest.mark.campaign

OPERATIONS = int(os.environ.get("GENERATED_OPERATIONS", shares.number(400, quick=25)))
# The least percentage of operations that a plan has to answer. The others are refused. Few operations
# may differ more from the average.
PLANNED = shares.number(80, quick=60)


@pytest.fixture(scope="module")
def tally() -> Counter[tuple[str, bool]]:
    """Count planned and refused operations, by database."""
    return Counter()


@pytest.fixture(scope="module")
def askers(comparison: Comparison) -> list[Pool]:
    return pools(comparison)


@seed(SEED)
@settings(
    max_examples=OPERATIONS,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
async def test_operation_has_one_answer(
    comparison: Comparison,
    askers: list[Pool],
    tally: Counter[tuple[str, bool]],
    data: st.DataObject,
) -> None:
    case = data.draw(operations(comparison.oracle.schema, askers))
    answered, planned = await comparison.check(case)
    # An invalid part may be in a place that no row of the response reaches.
    assert planned or answered.errors or case.has_junk
    tally[comparison.database, planned] += 1


async def test_nearly_all_operations_were_planned(
    comparison: Comparison, tally: Counter[tuple[str, bool]]
) -> None:
    planned, refused = (tally[comparison.database, kind] for kind in (True, False))
    print(f"{comparison.database}: {planned} planned, {refused} refused")
    if not planned:
        pytest.skip("the operations did not run before this test")
    assert planned + refused >= OPERATIONS
    assert planned * 100 >= (planned + refused) * PLANNED
