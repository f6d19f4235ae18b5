"""The filter for card numbers: mutations with a string that looks like one are refused.

No field of the schema takes a card number, but a page may send one in a wrong field. Two kinds of
input often look like card numbers and are recognized by their names: mail addresses, which begin
with a telephone number in some countries, and idempotency keys, which are stored as hashes only.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FloatValueNode,
    IntValueNode,
    Node,
    ObjectFieldNode,
    StringValueNode,
    VariableNode,
    Visitor,
    visit,
)

from billing.luhn import checksum
from planner.operation import Errors, graphql_error

# 13 to 19 digits, with single spaces or hyphens between groups, and no adjacent letter or digit.
NUMBER = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][ -])[0-9](?:[ -]?[0-9]){12,18}(?![ -]?[0-9])(?![0-9A-Za-z])"
)
# UUIDs, alone or in an id or a key, and Stripe's ids: recognized by their form, with any digits.
KNOWN = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])"
    r"|\b(?:pi|pm|seti|ctoken|cus|ch|re|cbp)_(?=[0-9_]*[A-Za-z])[0-9A-Za-z_]{8,}"
)

# Inputs that are recognized by their names.
HASHED, MAILBOX = "idempotencyKey", "email"
MAIL_ADDRESS = re.compile(r"[^\s@]+@[^\s@]*[A-Za-z][^\s@]*")
# The name of the argument or input field that holds a text, if any, and the text.
Named = tuple[str | None, str]


def is_card_number(text: str) -> bool:
    """Return whether some part of the text looks like a card number and passes its check digit."""
    rest = KNOWN.sub("x", text)
    numbers = (re.sub("[ -]", "", match[0]) for match in NUMBER.finditer(rest))
    return any(checksum(number) == 0 for number in numbers)


def card_number_in_literals(document: DocumentNode) -> Errors:
    """Return a refusal if a document has a card number among its literals."""
    return card_number_errors(any(map(is_suspicious, Literals.of(document).found)))


def card_number_in_variables(variables: Any, document: DocumentNode) -> Errors:
    """Return a refusal if a request has a card number among its variables."""
    if not any(is_card_number(text) for _, text in texts(variables, {})):
        return []
    uses = Literals.of(document).uses
    return card_number_errors(any(map(is_suspicious, texts(variables, uses))))


def card_number_errors(found: bool) -> Errors:
    if not found:
        return []
    return [
        graphql_error("CARD_NUMBER", "card numbers are not accepted here: use Stripe's card form")
    ]


def is_suspicious(named: Named) -> bool:
    """Return whether a text looks like a card number in a field where it could be stored."""
    name, text = named
    if name == HASHED or (name == MAILBOX and MAIL_ADDRESS.fullmatch(text)):
        return False
    return is_card_number(text)


class Literals(Visitor):
    """The literals that can hold a number, and the argument names that variables are used for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Named] = []
        self.uses: dict[str, str | None] = {}

    @classmethod
    def of(cls, document: DocumentNode) -> "Literals":
        literals = cls()
        visit(document, literals)
        return literals

    def enter_string_value(self, node: StringValueNode, _: Any, parent: Any, *__: Any) -> None:
        self.found.append((name_of(parent), node.value))

    def enter_int_value(self, node: IntValueNode, _: Any, parent: Any, *__: Any) -> None:
        self.found.append((name_of(parent), node.value))

    def enter_float_value(self, node: FloatValueNode, _: Any, parent: Any, *__: Any) -> None:
        self.found.append((name_of(parent), node.value))

    def enter_variable(self, node: VariableNode, _: Any, parent: Any, *__: Any) -> None:
        if isinstance(parent, ArgumentNode | ObjectFieldNode):
            name, used = node.name.value, name_of(parent)
            self.uses[name] = used if self.uses.get(name, used) == used else None


def name_of(parent: Node | None) -> str | None:
    """Return the name of the argument or input field that holds a value."""
    return parent.name.value if isinstance(parent, ArgumentNode | ObjectFieldNode) else None


def texts(variables: Any, uses: Mapping[str, str | None]) -> Iterator[Named]:
    """Yield the strings, numbers and keys in the variables, without recursion."""
    waiting: list[tuple[str | None, Any]] = [(None, variables)]
    is_top = True
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            yield from ((None, key) for key in value)
            waiting += [(uses.get(key) if is_top else key, one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [(None, one) for one in value]
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield name, str(value)
        is_top = False
