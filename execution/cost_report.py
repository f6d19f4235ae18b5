"""The cost of a request, told in its response if the request asks for it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from execution.limits import MAX_COST
from execution.prepared_operation import PreparedOperation
from execution.size import Measure
from planner.fallback_executor import Answer


def with_cost(
    answer: Answer,
    prepared: PreparedOperation,
    given: Mapping[str, Any],
    budget: Mapping[str, Any],
) -> Answer:
    """Return an answer with `extensions.cost`: the operation's cost and the token's budget."""
    measured = Measure(prepared.selected, given).operation(prepared.operation.node).cost
    cost = {"requested": measured, "most": MAX_COST, **budget}
    extensions = b',"extensions":' + orjson.dumps({"cost": cost}) + b"}"
    return replace(answer, body=answer.body.rstrip()[:-1] + extensions)
