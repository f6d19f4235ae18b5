"""What the README lists is what there is."""

from pydantic_core import PydanticUndefined

from server.settings import Settings
from tests.demo import PROJECT

README = (PROJECT / "README.md").read_text()


def test_the_table_of_settings_is_the_list_of_settings() -> None:
    lines = [line for line in README.splitlines() if line.startswith("| `")]
    told = {line.split("`")[1]: line for line in lines if line.split("`")[1].isupper()}
    assert told.keys() == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        assert field.description
        assert told[name.upper()].endswith(f"| {field.description} |"), name
        if field.default is PydanticUndefined:
            assert "| required |" in told[name.upper()]


def test_each_room_of_the_house_is_on_the_map() -> None:
    rooms = {path.parent.name for path in PROJECT.glob("*/__init__.py")}
    assert {room for room in rooms if f"| `{room}/` |" not in README} == set()
