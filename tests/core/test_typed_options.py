"""The keyword options of public functions are typed, and equal to those that they reach."""

from __future__ import annotations

import pytest

from agentnb.core.settings import FIELDS, Settings, SettingsArguments

# The type of a setting, and the types that its argument is given as.
GIVEN = {
    "Path": "str | os.PathLike[str] | None",
    "str": "str | None",
    "Secret": "str | None",
    "tuple[str, ...]": "str | None",
    "int": "int | str | None",
    "float": "float | str | None",
    "bool": "bool | str | None",
}


def test_the_typed_settings_are_the_fields():
    assert list(SettingsArguments.__annotations__) == [field.name for field in FIELDS]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_setting_is_given_as_the_type_that_it_has(field):
    kind = Settings.__annotations__[field.name].removesuffix(" | None")
    expected = "str | None" if field.name == "log_level" else GIVEN[kind]
    assert SettingsArguments.__annotations__[field.name].__forward_arg__ == expected
