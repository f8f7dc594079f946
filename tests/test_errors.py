"""An error's words."""

from __future__ import annotations

from dlcli.errors import DlError, did_you_mean, lacks_memory


def test_an_error_says_what_and_why_and_how_to_mend_it() -> None:
    error = DlError("No `valid/` in ~/data", why="nothing was split", hint="Run `dl data split`.")
    assert str(error) == "No `valid/` in ~/data: nothing was split\nRun `dl data split`."
    assert str(DlError("No such file: a.csv")) == "No such file: a.csv"


def test_the_nearest_known_word_is_named() -> None:
    assert did_you_mean("fintune", ["finetune", "linear"]) == "Did you mean `finetune`?"


def test_where_none_is_near_all_are_named_unless_they_are_many() -> None:
    assert did_you_mean("xyz", ["finetune", "linear"]) == "Known: finetune, linear."
    assert did_you_mean("xyz", []) == ""
    many = [f"2026112314{i:02}-finetune" for i in range(60)]
    assert did_you_mean("xyz", many) == f"Known: {', '.join(many[:10])} and 50 more."


def test_a_library_that_memory_can_not_hold_is_told_from_one_that_may_not_run() -> None:
    text = "/a/_image.so: failed to map segment from shared object"
    assert lacks_memory(ImportError(text))
    assert not lacks_memory(ImportError(f"{text}: Operation not permitted"))
    assert not lacks_memory(ImportError("No module named 'matplotlib'"))
