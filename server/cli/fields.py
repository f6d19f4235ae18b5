"""Fields of a row as options of commands.

Only the standard library and typer are imported, so that `--help` is fast.
"""

import datetime as dt
import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any, NamedTuple, TypeVar

import typer

C = TypeVar("C", bound=Callable[..., None])


def parse_day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is not a day as 2026-11-30.") from None


DAY: dict[str, Any] = {"parser": parse_day, "metavar": "YYYY-MM-DD"}
Day = Annotated[dt.date | None, typer.Option(**DAY)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
External = Annotated[
    str | None,
    typer.Option(
        "--external-id",
        help="The record's own key in another system: the same key again enters nothing.",
    ),
]
Source = Annotated[str, typer.Option(help="The other system, as simplepractice.")]
SOURCE = "import"


class Field(NamedTuple):
    """A field of a row: an option of the same name, with hyphens."""

    name: str
    type: type[Any]
    help: str


ADDRESS = (
    Field("line1", str, "Street and number."),
    Field("line2", str, "Suite or floor."),
    Field("city", str, "City."),
    Field("region", str, "State or region."),
    Field("postal_code", str, "Postal code."),
    Field("country", str, "Country, as US."),
)


def with_fields(fields: Iterable[Field]) -> Callable[[C], C]:
    """Return a decorator that gives a command an option for each field, in place of its own
    keyword arguments.
    """
    options = [option(field) for field in fields]

    def decorate(command: C) -> C:
        signature = inspect.signature(command)
        fixed = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        changed: Any = command
        changed.__signature__ = signature.replace(parameters=[*fixed, *options])
        return command

    return decorate


def option(field: Field) -> inspect.Parameter:
    """Return the parameter of a command for a field; None unless it is given."""
    form = DAY if field.type is dt.date else {}
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[field.type | None, typer.Option(help=field.help, **form)],
    )


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a command was given."""
    return {name: value for name, value in fields.items() if value is not None}
