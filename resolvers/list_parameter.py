"""Lists in a request, as rows of the statement."""

from typing import Any

from sqlalchemy import BigInteger, BindParameter, ColumnElement, Text, cast, func

from models.literals import constant
from resolvers.visibility import Visibility


class ListParameter:
    """The items of a list as rows with their positions. A list of any length is one parameter."""

    def __init__(self, items: BindParameter[list[str]], visible: Visibility) -> None:
        if visible.lateral:
            rows = func.unnest(items).table_valued("value", with_ordinality="place")
            self.table: Any = rows.render_derived()
            place = self.table.c.place
        else:
            self.table = func.json_each(items).table_valued("value", "key")
            place = self.table.c.key
        self.place: ColumnElement[int] = cast(place, BigInteger)

    def text(self, start: int, *length: int) -> ColumnElement[str]:
        """Return a part of the item's text; positions start at one."""
        numbers = [constant(number) for number in (start, *length)]
        return func.substr(self.table.c.value, *numbers, type_=Text())
