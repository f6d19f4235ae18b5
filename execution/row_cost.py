"""Costs of the rows that an operation makes the database read, in addition to the objects returned.

A list of the whole practice reads rows that it does not return: to count them, and to find those
that match a filter. The number is known once the practice's rows are counted.
"""

from collections.abc import Mapping
from typing import Any

from execution.limits import MAX_COST
from execution.prepared_operation import PreparedOperation
from execution.row_counts import MOST, RowCounts
from execution.size import Measure
from identity.viewer import Viewer
from models.database import Reads
from planner.operation import Errors, limited

ADVICE = "Request fewer lists and sums of the whole practice at a time, or omit filters."

# How often the rows of a table are read, by the table's name.
Scans = Mapping[str, float]
NO_SCANS: Scans = {}


class RowCosts:
    """Refuses operations that would read too many rows of a practice."""

    def __init__(self, reads: Reads) -> None:
        self.counts = RowCounts(reads)

    def scans(
        self, prepared: PreparedOperation, variables: Mapping[str, Any], viewer: Viewer
    ) -> Scans:
        """Return how often the operation reads the rows of a practice.

        People have access to few rows, which an index finds.
        """
        is_wide = prepared.reads is not None and prepared.reads.practice_wide
        if not is_wide or not viewer.kind.is_program:
            return NO_SCANS
        return Measure(prepared.selected, variables).operation(prepared.operation.node).scans

    async def refuse(self, scans: Scans, viewer: Viewer) -> Errors:
        """Return the errors that refuse an operation in the viewer's practice, if any."""
        if sum(scans.values()) * MOST <= MAX_COST:
            return []  # cheap enough in a practice of any size
        counts = await self.counts.of(viewer)
        cost = round(sum(times * counts[table] for table, times in scans.items()))
        return [limited("cost", cost, MAX_COST, ADVICE)] if cost > MAX_COST else []
