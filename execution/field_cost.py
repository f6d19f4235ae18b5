"""Numbers of a selected field: the SELECTs and the levels of rows that it takes.

They follow from the kind of the field's source, unless the field states another cost
(`resolvers/field_facts.py`).
"""

from execution.selected_fields import SelectedField
from planner.sources import (
    ConnectionField,
    ConnectionItems,
    NodeById,
    NodesByIds,
    ToMany,
    ToOne,
)

# SELECTs of an object and of a list of other rows.
ONE, MANY = 2, 3


def selects(field: SelectedField) -> int:
    """Return the maximum number of SELECTs that the field adds to the statement."""
    stated = field.facts.cost.selects
    if stated is not None:
        return stated
    match field.source:
        case ToOne() | NodeById():
            return ONE
        case ToMany() | ConnectionItems():
            return MANY
    return 0


def nesting(field: SelectedField) -> int:
    """Return the number of row levels that the field adds around its selection."""
    stated = field.facts.cost.nesting
    if stated is not None:
        return stated
    match field.source:
        case ToOne() | ToMany() | ConnectionField() | NodeById():
            return 1
        case NodesByIds():
            return 2  # the requested ids are rows too
    return 0
