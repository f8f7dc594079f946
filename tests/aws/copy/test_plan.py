"""What becomes of each file: a pure plan of two listings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.aws.copy.plan import (
    SECRETS,
    Entry,
    counterpart,
    first_match,
    left_out_lines,
    plan_copy,
    require_narrow,
    require_remote,
)
from dlcli.errors import DlError

HOME = Path("/home/me")

parts = st.one_of(
    st.sampled_from(["a", "b", ".env", ".env.local", "k.pem", ".aws", ".ssh", ".git", "-rf", "#"]),
    st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=4),
)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
entries = st.builds(
    Entry,
    size=st.integers(0, 3),
    modified=st.integers(1000, 1002).map(float),
    link=st.one_of(st.none(), st.sampled_from(["a", "../a", "/etc/passwd", "../../a"])),
    odd=st.sampled_from(["", "", "", "a pipe"]),
)
listings = st.dictionaries(paths, entries, max_size=12)
files = st.dictionaries(
    st.lists(st.sampled_from("abc"), min_size=3, max_size=3).map("/".join),
    st.builds(Entry, st.integers(0, 3), st.integers(1000, 1002).map(float)),
    max_size=12,
)


@given(listings, listings, st.booleans(), st.booleans())
def test_every_file_of_the_source_is_accounted_for_once(
    source: dict[str, Entry], target: dict[str, Entry], delete: bool, overwrite: bool
) -> None:
    plan = plan_copy(source, target, delete=delete, overwrite=overwrite)
    left_out = [path for paths in plan.left_out.values() for path in paths]
    all_of_it = [*plan.send, *plan.same, *plan.newer, *left_out]
    assert sorted(all_of_it) == sorted(source)
    assert plan.size_bytes == sum(source[path].size for path in plan.send)


@given(listings, listings)
def test_no_secret_and_no_way_out_is_ever_sent(
    source: dict[str, Entry], target: dict[str, Entry]
) -> None:
    for path in plan_copy(source, target).send:
        names = path.lower().split("/")
        assert ".." not in names
        assert not any(name.startswith(".env") or name.endswith(".pem") for name in names)
        assert not {".aws", ".ssh"} & set(names[:-1])
        entry = source[path]
        assert not entry.odd
        assert entry.link is None or not entry.link.startswith("/")


@given(listings, listings)
def test_only_what_is_not_in_the_source_is_deleted_and_only_when_told(
    source: dict[str, Entry], target: dict[str, Entry]
) -> None:
    assert plan_copy(source, target).delete == ()
    for path in plan_copy(source, target, delete=True).delete:
        assert path in target
        assert path not in source
        assert first_match(path, SECRETS) is None
        assert ".git" not in path.lower().split("/")[:-1]


@given(files, files)
def test_after_a_copy_there_is_nothing_left_to_copy(
    source: dict[str, Entry], target: dict[str, Entry]
) -> None:
    plan = plan_copy(source, target, delete=True, overwrite=True)
    after = {path: entry for path, entry in target.items() if path not in plan.delete}
    after |= {path: source[path] for path in plan.send}
    again = plan_copy(source, after, delete=True)
    assert (again.send, again.delete) == ((), ())
    assert {path: (entry.size, entry.modified) for path, entry in after.items()} == {
        path: (entry.size, entry.modified) for path, entry in source.items()
    }


@given(files, files)
def test_what_is_newer_at_the_goal_is_copied_over_only_when_told(
    source: dict[str, Entry], target: dict[str, Entry]
) -> None:
    plan = plan_copy(source, target)
    assert all(target[path].modified > source[path].modified for path in plan.newer)
    assert not any(
        path in target and target[path].modified > source[path].modified for path in plan.send
    )
    assert plan_copy(source, target, overwrite=True).newer == ()


@given(st.lists(st.sampled_from(["a", "data", "x y", "ü", "*"]), min_size=1, max_size=4))
def test_a_folder_in_the_home_is_the_same_one_there(parts: list[str]) -> None:
    here = HOME.joinpath(*parts)
    there = counterpart(here, HOME, "elsewhere")
    assert HOME / there == here
    require_remote(there)


def test_a_folder_outside_of_the_home_is_what_it_is_called_otherwise() -> None:
    assert counterpart(Path("/mnt/dogs"), HOME, "data/dogs") == "data/dogs"


@pytest.mark.parametrize("here", ["/", "/home", "/home/me", "", ".", "data"])
def test_a_home_a_disk_and_a_folder_of_nowhere_are_refused(here: str) -> None:
    with pytest.raises(DlError, match="cannot be copied as a whole"):
        require_narrow(Path(here), HOME)


@pytest.mark.parametrize("there", ["", ".", "/", "/home/you", "~", "~you", "..", "a/.."])
def test_a_goal_outside_of_the_home_there_is_refused(there: str) -> None:
    with pytest.raises(DlError, match="not a folder to copy"):
        require_remote(there)


@pytest.mark.parametrize(
    ("path", "pattern", "matches"),
    [
        ("a/.env", ".env*", True),
        (".env/x", ".env*", True),
        ("env", ".env*", False),
        ("a/KEY.Pem", "*.pem", True),
        (".ssh/id", ".ssh/", True),
        ("a/b/.ssh/c/id", ".ssh/", True),
        ("a/.ssh", ".ssh/", False),
        ("features/x", "/features/", True),
        ("a/features/x", "/features/", False),
        ("features", "/features/", False),
        ("data/raw/x.zip", "data/raw", True),
        ("data/raw", "data/raw", True),
        ("my/data/raw", "data/raw", False),
        ("data/x/1.zip", "data/*/1.zip", True),
        ("data/x/y/1.zip", "data/*/1.zip", False),
        ("two\nlines.pem", "*.pem", True),
    ],
)
def test_patterns_mean_what_they_say(path: str, pattern: str, matches: bool) -> None:
    assert (first_match(path, [pattern]) == pattern) is matches


def test_a_history_is_never_deleted() -> None:
    target = {".git/HEAD": Entry(1, 1), "old.py": Entry(1, 1)}
    assert plan_copy({}, target, delete=True).delete == ("old.py",)


def test_times_count_to_the_second() -> None:
    assert plan_copy({"a": Entry(1, 5.2)}, {"a": Entry(1, 5.9)}).same == ("a",)
    assert plan_copy({"a": Entry(1, 6.1)}, {"a": Entry(1, 5.9)}).send == ("a",)


def test_what_is_left_out_is_counted_and_named() -> None:
    many = tuple(f"data/{number}.jpg" for number in range(1200))
    assert left_out_lines({"ignored by git": ("a.log", "b\n"), "excluded by `*.zip`": many}) == [
        "Left out 2, ignored by git: a.log, b\\n.",
        "Left out 1,200, excluded by `*.zip`: data/.",
    ]


def test_a_listing_that_a_machine_made_up_leads_nowhere() -> None:
    """It could have a file written through a link that it sent before."""
    made_up = {
        "a/b": Entry(0, 1, link=".."),
        "c": Entry(0, 1, link="a/b/../.."),
        "c/evil": Entry(1, 1),
        "/etc/evil": Entry(1, 1),
        "../evil": Entry(1, 1),
        "x/../../evil": Entry(1, 1),
    }
    assert plan_copy(made_up, {}).send == ("a/b", "c")
