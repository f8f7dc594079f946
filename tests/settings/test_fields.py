"""One declared setting: what its coercion takes, what it refuses, and in which words."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.errors import DlError, ExitCode
from dlcli.settings.fields import coerce, plain, setting, settings_of, text_of
from dlcli.settings.schedule import Schedule


@dataclass(frozen=True)
class Example:
    """One setting of each type."""

    count: int = setting(3, "how many", at_least=1)
    rate: float = setting(0.5, "how fast", at_least=0, below=1)
    flag: bool = setting(False, "whether")
    name: str = setting("cat", "what it is called")
    title: str | None = setting(None, "what else it is called")
    place: Path = setting(Path("~/data"), "where")
    file: Path | None = setting(None, "which file")
    threads: int | None = setting(None, "how many at once", at_least=1, unset="auto")
    engine: Literal["auto", "keras"] = setting("auto", "what runs it")
    schedule: Schedule = setting(Schedule.parse("1e-3x2"), "rates and epochs")
    undeclared: int = 0


SETTINGS = settings_of(Example)


def refused(name: str, value: Any) -> DlError:
    """The error that a value gives."""
    with pytest.raises(DlError) as caught:
        coerce(value, SETTINGS[name])
    return caught.value


def test_the_declared_fields_are_settings_and_no_others() -> None:
    assert list(SETTINGS) == [
        "count",
        "rate",
        "flag",
        "name",
        "title",
        "place",
        "file",
        "threads",
        "engine",
        "schedule",
    ]
    assert SETTINGS["count"].type is int
    assert SETTINGS["threads"].type is int
    assert SETTINGS["threads"].optional
    assert not SETTINGS["count"].optional
    assert SETTINGS["engine"].choices == ("auto", "keras")
    assert SETTINGS["count"].choices == ()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("rate", "1e-3", 0.001),  # YAML reads 1e-3 as text
        ("rate", 0, 0.0),
        ("rate", " .25 ", 0.25),
        ("count", "12", 12),
        ("count", 12.0, 12),
        ("count", "0012", 12),
        ("flag", True, True),
        ("flag", "yes", True),
        ("flag", "Off", False),
        ("flag", 1, True),
        ("flag", "0", False),
        ("name", "none", "none"),  # a name must be there, so this is one
        ("name", 7, "7"),
        ("title", "dog", "dog"),
        ("title", "auto", "auto"),  # only numbers and the like can be left to `dl`
        ("title", "none", None),
        ("title", "", None),
        ("title", None, None),
        ("threads", "auto", None),
        ("threads", "None", None),
        ("threads", None, None),
        ("threads", "4", 4),
        ("engine", "auto", "auto"),
        ("engine", "keras", "keras"),
        ("file", "none", None),
        ("schedule", "1e-3x2,1e-4", Schedule(((0.001, 2), (0.0001, 1)))),
        ("schedule", 0.001, Schedule(((0.001, 1),))),
        ("schedule", Schedule(((0.1, 1),)), Schedule(((0.1, 1),))),
    ],
)
def test_the_type_of_the_setting_decides_what_a_value_is(
    name: str, value: Any, expected: Any
) -> None:
    assert coerce(value, SETTINGS[name]) == expected
    assert type(coerce(value, SETTINGS[name])) is type(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", True),  # YAML's `count: yes` is a slip, not the number 1
        ("count", "1e3"),
        ("count", 1.5),
        ("count", float("inf")),
        ("count", "many"),
        ("count", None),
        ("count", "none"),
        ("count", ""),
        ("count", [1]),
        ("count", 0),
        ("count", "-1"),
        ("rate", True),
        ("rate", "fast"),
        ("rate", "nan"),
        ("rate", 1),
        ("rate", -0.1),
        ("flag", "maybe"),
        ("flag", None),
        ("flag", 2),
        ("flag", [True]),
        ("name", None),
        ("name", ""),
        ("name", True),  # YAML's `name: no` is a slip, not a name
        ("name", ["a"]),
        ("name", {"a": 1}),
        ("threads", "none of them"),
        ("place", ""),
        ("place", 7),
        ("place", None),
        ("place", "~nobody-of-that-name/data"),
        ("engine", "Keras"),
        ("engine", "none"),
        ("engine", ["auto"]),
        ("schedule", "soon"),
        ("schedule", True),
        ("schedule", None),
    ],
)
def test_a_value_of_another_type_is_a_usage_error_that_says_what_was_expected(
    name: str, value: Any
) -> None:
    error = refused(name, value)
    assert error.exit_code == ExitCode.USAGE
    assert error.what == f"`{name}` can't be {value!r}"
    assert error.why
    assert SETTINGS[name].help in error.hint


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("count", "many", "expected a whole number, at least 1"),
        ("rate", 2, "expected a number, at least 0 and below 1"),
        ("flag", "maybe", "expected true or false"),
        ("name", True, "expected text"),
        ("place", 7, "expected a path"),
        ("engine", "gpu", "expected one of auto, keras"),
        ("threads", "many", "expected a whole number, at least 1, or auto"),
        ("title", True, "expected text, or none"),
        ("schedule", "1e-3x0", "'1e-3x0' needs a rate above 0 and at least one epoch"),
        ("schedule", "fast", "'fast' is not RATExEPOCHS, such as 1e-3x2"),
    ],
)
def test_what_was_expected_is_said_in_words(name: str, value: Any, why: str) -> None:
    assert refused(name, value).why == why


def test_a_relative_path_is_relative_to_the_folder_it_was_written_for(home: Path) -> None:
    place = SETTINGS["place"]
    assert coerce("pictures", place, base=Path("/project")) == Path("/project/pictures")
    assert coerce("pictures", place) == home / "pictures"
    assert coerce("~/pictures", place, base=Path("/project")) == home / "pictures"
    assert coerce("/pictures", place, base=Path("/project")) == Path("/pictures")


@given(
    st.one_of(
        st.tuples(st.just("count"), st.integers(1)),
        st.tuples(st.just("rate"), st.floats(0, 1, exclude_max=True)),
        st.tuples(st.just("flag"), st.booleans()),
        st.tuples(st.just("name"), st.text(min_size=1).filter(str.strip)),
        st.tuples(st.just("threads"), st.none() | st.integers(1)),
        st.tuples(
            st.just("schedule"),
            st.lists(
                st.tuples(
                    st.floats(0, exclude_min=True, allow_infinity=False), st.integers(1, 10**5)
                ),
                min_size=1,
                max_size=9,
            ).map(lambda steps: Schedule(tuple(steps))),
        ),
    )
)
def test_a_value_written_as_plain_comes_back_as_itself(pair: tuple[str, Any]) -> None:
    name, value = pair
    assert coerce(plain(value), SETTINGS[name]) == value


def test_a_path_written_as_plain_comes_back_as_itself() -> None:
    odd = Path("/data/with 'quotes'\n\udcff")
    assert coerce(plain(odd), SETTINGS["place"]) == odd


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (0.1 + 0.2, "0.3"),
        (1e-5, "1e-05"),
        (1500, "1500"),
        (["cat", "dog"], "cat, dog"),
        ([{"after": 4, "epochs": 20}], "after 4, epochs 20"),
    ],
)
def test_values_read_as_people_write_them(value: Any, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    "value",
    ["9" * 1_000_000, "x" * 1_000_000, int("9" * 4000) ** 2, ["a"] * 9999],
    ids=["digits", "text", "number", "list"],
)
def test_a_refusal_of_a_huge_value_is_short(value: Any) -> None:
    for name in ("schedule", "engine"):
        assert len(str(refused(name, value))) < 500


@pytest.mark.parametrize("value", ["inf", "nan", float("inf"), "-inf"])
def test_a_number_is_finite(value: Any) -> None:
    unbounded = dataclasses.replace(SETTINGS["rate"], below=None)
    with pytest.raises(DlError, match="expected a number, at least 0"):
        coerce(value, unbounded)
