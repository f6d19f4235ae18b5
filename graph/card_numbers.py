"""No card number gets in: whatever looks like one, in any string of a mutation, is refused.

A card's number has no field in the contract, but a page may put one where it doesn't belong.
"""

import re
from collections.abc import Mapping
from typing import Any

from graphql import DocumentNode, FloatValueNode, IntValueNode, StringValueNode, Visitor, visit

from resolvers.planner.operation import Errors, refusal

# 13 to 19 digits, single spaces or hyphens between printed groups, no letter or digit beside them.
NUMBER = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][ -])[0-9](?:[ -]?[0-9]){12,18}(?![ -]?[0-9])(?![0-9A-Za-z])"
)
# UUIDs, alone or in an id or a key, and Stripe's ids: known by their form, whatever their digits.
KNOWN = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])"
    r"|\b(?:pi|pm|seti|ctoken|cus|ch|re|cbp)_(?=[0-9_]*[A-Za-z])[0-9A-Za-z_]{8,}"
)


def is_card_number(text: str) -> bool:
    """Whether some of the text looks like a card's number and passes its check digit."""
    rest = KNOWN.sub("x", text)
    return any(passes_luhn(found[0]) for found in NUMBER.finditer(rest))


def passes_luhn(number: str) -> bool:
    """ISO/IEC 7812: every second digit from the right is doubled, the digits' sum is tens."""
    digits = [int(digit) for digit in number if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def card_number_in_literals(document: DocumentNode) -> Errors:
    """Return a refusal, if there is a card's number in a document."""
    strings = Strings()
    visit(document, strings)
    return refused_if(any(map(is_card_number, strings.found)))


def card_number_in_variables(variables: Any) -> Errors:
    """Return a refusal, if there is a card's number in a request's variables."""
    return refused_if(any(map(is_card_number, texts(variables))))


def refused_if(found: bool) -> Errors:
    if not found:
        return []
    return [refusal("CARD_NUMBER", "a card's number never belongs here: use Stripe's card form")]


class Strings(Visitor):
    """All literals that a number can be written as."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        self.found.append(node.value)

    def enter_int_value(self, node: IntValueNode, *_: Any) -> None:
        self.found.append(node.value)

    def enter_float_value(self, node: FloatValueNode, *_: Any) -> None:
        self.found.append(node.value)


def texts(value: Any) -> list[str]:
    """The strings and numbers in a JSON value, and its keys, without recursion."""
    waiting, found = [value], []
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            found.append(str(value))
    return found
