"""Trusted documents prepared before the first request: parsed, measured, validated and planned.

What is kept does not count toward the caches' sizes. So it has bounds of its own, beyond which a
document is prepared when it is first requested, as any other.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from graphql.execution.values import VariableValues

from execution.document_check import checked_operations
from execution.garbage_collection import pause
from execution.pipeline import GraphQLService
from execution.preparation import names_of
from execution.prepared_operation import PreparedOperation
from execution.sample_variables import sample_variables
from identity.viewer import NOBODY, Viewer
from models import ViewerKind

# Characters of documents, and the seconds that a start waits.
MOST_CHARACTERS, MOST_S = 2**18, 5.0
# Sets of variables for which an operation is planned.
MOST_SHAPES = 4
# A viewer of each kind that plans depend on, in a currency with two decimals.
VIEWERS = (
    replace(NOBODY, kind=ViewerKind.CLIENT),
    replace(NOBODY, kind=ViewerKind.CONTACT, sole_client_id=None),
    replace(NOBODY, kind=ViewerKind.CONTACT),
    *(
        replace(NOBODY, kind=kind, subject_id=None, sole_client_id=None)
        for kind in (ViewerKind.DASHBOARD, ViewerKind.INTEGRATION)
    ),
)


def prepare_ahead(service: GraphQLService, documents: Iterable[str]) -> None:
    """Prepare the documents with these texts, as far as the bounds allow.

    Raise InvalidDocument if one can't be answered.
    """
    until = time.monotonic() + MOST_S
    operations = list(validate_ahead(service, documents, until))
    # The most likely plans of all operations come first.
    for prepared, variables, viewer in requests_ahead(service, operations):
        if time.monotonic() > until:
            return
        with pause.held():
            service.executor.plan_ahead(prepared.operation, variables, viewer)


def validate_ahead(
    service: GraphQLService, documents: Iterable[str], until: float
) -> Iterator[PreparedOperation]:
    """Yield the operations of documents, which the caches keep."""
    characters = 0
    for text in documents:
        characters += len(text)
        if characters > MOST_CHARACTERS or time.monotonic() > until:
            return
        with pause.held():
            checked_all = list(checked_operations(service.schema._schema, text))
        for checked in checked_all:
            service.preparation.prepare_ahead(text, checked.prepared)
            service.anonymous.prepare_ahead(text, names_of(checked.prepared.operation))
            yield checked.prepared


def requests_ahead(
    service: GraphQLService, operations: Sequence[PreparedOperation]
) -> Iterator[tuple[PreparedOperation, VariableValues, Viewer]]:
    """Yield requests to plan: for each operation first the one that gives all variables.

    A mutation's statement depends on its outcome, and is planned when it is needed.
    """
    schema = service.schema._schema
    queries = [
        (prepared, list(sample_variables(schema, prepared, MOST_SHAPES)))
        for prepared in operations
        if not prepared.is_mutation
    ]
    for number in range(MOST_SHAPES):
        for viewer in VIEWERS:
            for prepared, variables in queries:
                if number < len(variables):
                    yield prepared, variables[number], viewer
