"""Kinds of parameters: how their text is parsed, and which text is refused.

Parameters that a call's own table doesn't list are refused, with the errors that Stripe has. The
double is stricter than Stripe: it also refuses parameters that Stripe has and the double lacks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.errors import StripeError, invalid

LONGEST = 5000
MOST_METADATA, LONGEST_METADATA_NAME, LONGEST_METADATA_VALUE = 50, 40, 500
MOST_DIGITS = 18


@dataclass(frozen=True, kw_only=True)
class ParameterKind:
    """A kind of parameter. A call without a `required` one is refused."""

    required: bool = False

    def read(self, name: str, value: Any) -> Any:
        """Return the value of a parameter, or raise Stripe's error."""
        raise NotImplementedError


def needs_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {value}", None, name)
    return value


def not_empty(name: str, value: str) -> None:
    if value == "":
        raise invalid(
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to"
            f" unset a parameter; however '{name}' cannot be unset.",
            "parameter_invalid_empty",
            name,
        )


@dataclass(frozen=True, kw_only=True)
class Text(ParameterKind):
    longest: int = LONGEST

    def read(self, name: str, value: Any) -> str:
        text = needs_text(name, value)
        not_empty(name, text)
        if len(text) > self.longest:
            raise invalid(f"Invalid string: {name} is too long", None, name)
        return text


@dataclass(frozen=True, kw_only=True)
class Integer(ParameterKind):
    least: int | None = None
    most: int | None = None

    def read(self, name: str, value: Any) -> int:
        text = needs_text(name, value)
        if not re.fullmatch(rf"-?[0-9]{{1,{MOST_DIGITS}}}", text):
            raise invalid(f"Invalid integer: {text}", "parameter_invalid_integer", name)
        number = int(text)
        if self.least is not None and number < self.least:
            message = f"This value must be greater than or equal to {self.least}."
            raise invalid(message, "parameter_invalid_integer", name)
        if self.most is not None and number > self.most:
            message = f"This value must be less than or equal to {self.most}."
            raise invalid(message, "parameter_invalid_integer", name)
        return number


@dataclass(frozen=True, kw_only=True)
class Boolean(ParameterKind):
    def read(self, name: str, value: Any) -> bool:
        if value not in ("true", "false"):
            raise invalid(f"Invalid boolean: {value}", None, name)
        return bool(value == "true")


@dataclass(frozen=True, kw_only=True)
class Choice(ParameterKind):
    among: tuple[str, ...]

    def read(self, name: str, value: Any) -> str:
        text = needs_text(name, value)
        if text not in self.among:
            message = f"Invalid {name}: must be one of {', '.join(self.among[:-1])}"
            raise invalid(f"{message} or {self.among[-1]}", None, name)
        return text


@dataclass(frozen=True, kw_only=True)
class ListOf(ParameterKind):
    of: ParameterKind
    most: int | None = None

    def read(self, name: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise invalid("Invalid array", None, name)
        if self.most is not None and len(value) > self.most:
            raise invalid(f"Array must have at most {self.most} items.", None, name)
        return [self.of.read(f"{name}[{index}]", item) for index, item in enumerate(value)]


@dataclass(frozen=True, kw_only=True)
class Group(ParameterKind):
    """An object with its own parameters. With `or_integer` an integer is accepted instead."""

    of: Mapping[str, ParameterKind]
    or_integer: bool = False

    def read(self, name: str, value: Any) -> Any:
        if self.or_integer and isinstance(value, str):
            return Integer().read(name, value)
        if not isinstance(value, dict):
            raise invalid("Invalid object", None, name)
        return read_parameters(self.of, value, inside=name)


@dataclass(frozen=True, kw_only=True)
class Metadata(ParameterKind):
    def read(self, name: str, value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise invalid("Invalid object", None, name)
        if len(value) > MOST_METADATA:
            raise invalid("You can have up to 50 metadata keys.", None, name)
        for key, text in value.items():
            if len(key) > LONGEST_METADATA_NAME or len(needs_text(name, text)) > (
                LONGEST_METADATA_VALUE
            ):
                raise invalid("Metadata has a key or value that is too long.", None, name)
        return {key: text for key, text in value.items() if text}


Parameters = Mapping[str, ParameterKind]


def read_parameters(
    table: Parameters, sent: Mapping[str, Any], *, inside: str = ""
) -> dict[str, Any]:
    """Read all parameters of a call, or raise the error for the first that is refused."""
    for name in sent:
        if name not in table:
            raise unknown_parameter(nested_name(inside, name))
    for name, kind in table.items():
        if kind.required and name not in sent:
            message = f"Missing required param: {nested_name(inside, name)}."
            raise invalid(message, "parameter_missing", nested_name(inside, name))
    return {
        name: table[name].read(nested_name(inside, name), value) for name, value in sent.items()
    }


def nested_name(inside: str, name: str) -> str:
    return f"{inside}[{name}]" if inside else name


def unknown_parameter(name: str) -> StripeError:
    return invalid(f"Received unknown parameter: {name}", "parameter_unknown", name)
