"""Parsing and validation of a request: a valid operation, or the errors of GraphQL."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    Location,
    OperationDefinitionNode,
    StringValueNode,
    Token,
    TokenKind,
    Visitor,
    get_operation_ast,
    type_from_ast,
    visit,
)
from graphql.execution.values import VariableValues, get_variable_values
from graphql.language.parser import Parser

from planner.validation_rules import RULES, Rules, validated

# Tokens of a document. A query for the whole billing page has about 400.
MAX_TOKENS = 4_000
# Strings, numbers and keys in a request's variables.
MAX_VALUES = 10_000
# Characters of an error's message and number of its locations, which can be as long as the request.
MESSAGE, PLACES = 400, 5

# PostgreSQL allows no NUL in text, and a lone surrogate is not a character.
NO_TEXT = re.compile("[\0\ud800-\udfff]")

# Stands for the tokens of locations, which nothing reads.
NO_TOKEN = Token(TokenKind.SOF, 0, 0, 0, 0)

# Larger numbers are reported as "endless".
ENDLESS = 10**12

Errors = Sequence[GraphQLError]


@dataclass(frozen=True, eq=False)
class Operation:
    """A validated operation, the types of its variables, and the shapes that it was planned for.

    Plans are cached by `name` instead of the operation itself, which may be freed before its plans.
    """

    document: DocumentNode
    node: OperationDefinitionNode
    types: Mapping[str, GraphQLInputType]
    shapes: set[Any] = field(default_factory=set)
    name: object = field(default_factory=object)


def parse_document(query: str, most_tokens: int = MAX_TOKENS) -> DocumentNode | Errors:
    """Parse a document, and check that a database can store its strings."""
    try:
        document = DocumentParser(query, max_tokens=most_tokens).parse_document()
        if "\\u" in query or NO_TEXT.search(query):
            visit(document, StringsWithoutNul())
    except GraphQLError as error:
        return [with_code(error, "GRAPHQL_PARSE_FAILED")]
    except RecursionError:
        return [graphql_error("GRAPHQL_PARSE_FAILED", "the document is nested too deeply")]
    return document


class DocumentParser(Parser):
    """Parser whose documents keep no tokens, which are up to a third of their memory.

    Tokens also refer to one another in both directions. Without this cycle, an evicted document is
    freed at once. Otherwise the garbage collector has to find it, which blocks the event loop.
    """

    def parse_document(self) -> DocumentNode:
        token: Token | None = self._lexer.token
        try:
            return super().parse_document()
        finally:
            while token is not None:
                token.prev, token.next, token = None, None, token.next

    def loc(self, start_token: Token) -> Location | None:
        location = super().loc(start_token)
        if location is not None:
            location.start_token = location.end_token = NO_TOKEN
        return location


def has_too_many_tokens(errors: Errors) -> bool:
    """Return whether parsing stopped because the document has too many tokens."""
    return any(error.message.endswith("tokens. Parsing aborted.") for error in errors)


class StringsWithoutNul(Visitor):
    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        check_text(node.value)


def check_text(text: str) -> None:
    if NO_TEXT.search(text):
        raise graphql_error("BAD_USER_INPUT", "text has a NUL or a lone surrogate")


def select_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | Errors:
    """Return the operation that the request selects."""
    try:
        check_text(name or "")
    except GraphQLError as error:
        return [error]
    node = get_operation_ast(document, name)
    if node is not None:
        return node
    what = f"no operation is named {name}" if name else "select an operation with operationName"
    return [graphql_error("OPERATION_RESOLUTION_FAILURE", what)]


def validate_operation(
    schema: GraphQLSchema,
    document: DocumentNode,
    node: OperationDefinitionNode,
    rules: Rules = RULES,
) -> Operation | Errors:
    """Validate the operation against the schema."""
    try:
        errors = validated(schema, document, rules)
    except RecursionError:
        errors = [graphql_error("GRAPHQL_VALIDATION_FAILED", "the document is nested too deeply")]
    if errors:
        return [with_code(error, "GRAPHQL_VALIDATION_FAILED") for error in errors]
    types = {
        v.variable.name.value: cast(GraphQLInputType, type_from_ast(schema, v.type))
        for v in node.variable_definitions or ()
    }
    return Operation(document, node, types)


def coerce_variables(
    schema: GraphQLSchema, operation: Operation, variables: Mapping[str, Any]
) -> VariableValues | Errors:
    """Return the variables after coercion, with defaults applied and scalars parsed."""
    try:
        check_texts(variables)
    except GraphQLError as error:
        return [error]
    definitions = operation.node.variable_definitions or ()
    variable_values = get_variable_values(
        schema, definitions, dict(variables), max_errors=20, hide_suggestions=True
    )
    if isinstance(variable_values, VariableValues):
        return variable_values
    return [with_code(error, "BAD_USER_INPUT") for error in variable_values]


def check_texts(value: Any, most: int = MAX_VALUES) -> None:
    """Check every string in a JSON value. There is no recursion, since nesting is unbounded."""
    waiting, values = [value], 0
    while waiting:
        value, values = waiting.pop(), values + 1
        if values + len(waiting) > most:
            raise limited("values", values + len(waiting), most, "Send less in variables.")
        if isinstance(value, str):
            check_text(value)
        elif isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value


def graphql_error(code: str, message: str) -> GraphQLError:
    return with_code(GraphQLError(message), code)


def limited(name: str, value: int, most: int, advice: str) -> GraphQLError:
    """Return an error for an exceeded limit: the limit, the value, and advice."""
    shown = f"{value:,}" if value < ENDLESS else "endless"
    error = graphql_error("LIMIT_EXCEEDED", f"{name}: {shown} of at most {most:,}. {advice}")
    error.extensions = {**(error.extensions or {}), "limit": name, "value": value, "most": most}
    return error


def with_code(error: GraphQLError, code: str) -> GraphQLError:
    """Return the error with a code, keeping its own code if it has one.

    The message and the locations are shortened, and suggested names are removed.
    """
    error.message = error.message.partition(" Did you mean ")[0]
    if len(error.message) > MESSAGE:
        error.message = error.message[:MESSAGE] + "…"
    if error.locations:
        error.locations = error.locations[:PLACES]
    # These would keep the stack frames alive.
    error.__traceback__ = error.__context__ = None
    if not (error.extensions or {}).get("code"):
        error.extensions = {**(error.extensions or {}), "code": code}
    return error
