"""The check of the schema at a server's start."""

import pytest

from execution.startup_check import check_schema
from graph.schema import schema


@pytest.mark.parametrize("lateral", [False, True], ids=["sqlite", "postgres"])
def test_each_field_of_the_schema_can_be_planned(lateral: bool) -> None:
    check_schema(schema(), lateral=lateral)
