"""Text, YAML and CSV give back any file name, or say what is wrong."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import (
    parse_json,
    read_csv,
    read_text,
    read_yaml,
    write_csv,
    write_yaml,
)

pytestmark = pytest.mark.forks

# What a file name can hold on Linux: any bytes but NUL and the slash.
FILE_NAMES = (
    st.binary(min_size=1, max_size=30)
    .map(lambda name: name.replace(b"\0", b"0").replace(b"/", b"1"))
    .map(os.fsdecode)
)
# ... and the ones that have broken some writer or reader.
TROUBLE = st.text(st.sampled_from("\udc80\udcff\n\r\x85\u2028\ufeff\\uD\"',;:#- \t~é日😀aD8"))
NAMES = st.one_of(
    FILE_NAMES, TROUBLE, st.text(st.characters(codec="utf-8", exclude_characters="\0"))
)

# The folder of one test serves all its examples, each overwrites the file; and fsync takes as long
# as the disk pleases.
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@one_folder
@given(rows=st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=5))
def test_a_csv_gives_back_any_file_name(tmp_path: Path, rows: list[list[str]]) -> None:
    table = [["path"], *rows]
    write_csv(tmp_path / "names.csv", table)
    assert read_csv(tmp_path / "names.csv") == table


@one_folder
@given(
    value=st.recursive(
        NAMES | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    )
)
def test_a_yaml_gives_back_any_file_name(tmp_path: Path, value: Any) -> None:
    write_yaml(tmp_path / "value.yaml", value)
    assert read_yaml(tmp_path / "value.yaml") == value


@one_folder
@given(name=NAMES)
def test_text_gives_back_any_file_name(tmp_path: Path, name: str) -> None:
    atomic_write(tmp_path / "name.txt", name)
    assert read_text(tmp_path / "name.txt") == name


def test_names_on_disk_go_through_csv_and_yaml_and_open_the_same_files(tmp_path: Path) -> None:
    names = [b"a b.jpg", b"it's.jpg", b'"x".jpg', b"-rf.jpg", b"a\nb.jpg", b"\r.jpg", b"\xff.jpg"]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(name)
    listed = sorted(path.name for path in folder.iterdir())
    write_csv(tmp_path / "names.csv", [[name] for name in listed])
    write_yaml(tmp_path / "names.yaml", listed)
    for back in (
        [row[0] for row in read_csv(tmp_path / "names.csv")],
        read_yaml(tmp_path / "names.yaml"),
    ):
        assert {(folder / name).read_bytes() for name in back} == set(names)


def test_csv_written_elsewhere_is_read_whatever_its_line_ends_and_byte_order_mark(
    tmp_path: Path,
) -> None:
    file = tmp_path / "sample.csv"
    file.write_bytes(b'\xef\xbb\xbf"id","label"\r\n1,0.5\r\n')
    assert read_csv(file) == [["id", "label"], ["1", "0.5"]]


def test_csv_holds_plain_lines_so_that_any_tool_reads_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "plain.csv", [["id", "label"], ["1", 0.5], ["a,b", "c\rd"]])
    assert (tmp_path / "plain.csv").read_bytes() == b'id,label\n1,0.5\n"a,b","c\rd"\n'


@pytest.mark.parametrize(
    "text",
    [
        "seed: [1, 2",
        "seed: 1\n  workers: 2",
        "\tseed: 1",
        "&a [*a]",  # it holds itself
        "a: &a {<<: *a}",
        "a: *b",
        "? [1]\n: 2",
        "a: 1\n---\nb: 2",
        "seed: !!int ''",
        "seed: !!bool maybe",
        "day: !!timestamp 2026-11-29",
        "classes: !!set {cat, dog}",
        "icon: !!binary aGk=",
        "<<: 3",
        "!!python/object/apply:os.system ['true']",
        "seed: \x01",
    ],
)
def test_a_file_that_is_not_yaml_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "dl.yaml"
    file.write_text(text)
    with pytest.raises(DlError, match=r"dl\.yaml is not valid YAML"):
        read_yaml(file)


def test_a_long_yaml_text_for_the_slow_parser_is_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "status.yaml"
    lines = 'name: "\\uDC80"\n', "- [1, 2]\n" * 100_000
    for text in (lines[0] + "a:\n" + lines[1], "a:\n" + lines[1] + lines[0]):
        file.write_text(text)
        begun = time.process_time()
        with pytest.raises(DlError, match=r"status\.yaml is not valid YAML: with `\\uD` in it"):
            read_yaml(file)
        assert time.process_time() - begun < 0.5


def test_a_yaml_file_that_is_not_text_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "dl.yaml"
    file.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(DlError, match=r"dl\.yaml is not valid YAML"):
        read_yaml(file)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: 1\nb: [1\nc: 2\n", "line 3, column 2: "),
        ("a: \x00\n", "not allowed"),
        ("a: [" + "[" * 10_000, "line 1, column 53: it nests deeper than 50 levels"),
        ("a: 1\nb: &b [*b]\n", "line 2, column 8: *b holds itself"),
    ],
)
def test_what_is_wrong_with_yaml_is_said_without_the_parsers_own_words(
    tmp_path: Path, text: str, where: str
) -> None:
    file = tmp_path / "dl.yaml"
    file.write_text(text)
    with pytest.raises(DlError) as error:
        read_yaml(file)
    assert where in error.value.why
    assert "byte string" not in error.value.why


@pytest.mark.parametrize(
    "text",
    [
        "1: 1_000\n0x1F: 010\non: ~\nf: -.5\ng: .inf\nh: 1:30\ni: 1e3\nj: 1.5e+3\n",
        "- &a {x: 1, y: 2}\n- {<<: *a, y: 3}\n- <<: [*a, {x: 9, z: 8}]\n  y: 5\n- *a\n",
        "'a': !!str 1\nb: !!int '3'\n? c\n: !!float 3\nd: !!null x\n",
        "- |\n  a\n  b\n- >-\n  c\n  d\n- 'e'\n- \"\\u65e5\"\n- []\n- {}\n",
    ],
)
def test_yaml_holds_what_other_readers_find_in_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "dl.yaml").write_text(text)
    assert repr(read_yaml(tmp_path / "dl.yaml")) == repr(yaml.safe_load(text))


def test_times_and_endless_numbers_are_text(tmp_path: Path) -> None:
    text = f"- 2026-11-29\n- 2026-99-99\n- 2026-11-29 10:00:00Z\n- {'9' * 5000}\n- =\n"
    (tmp_path / "dl.yaml").write_text(text)
    values = ["2026-11-29", "2026-99-99", "2026-11-29 10:00:00Z", "9" * 5000, "="]
    assert read_yaml(tmp_path / "dl.yaml") == values


def test_aliases_count_as_often_as_they_occur(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, name in itertools.pairwise("abcdefghij"):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    (tmp_path / "dl.yaml").write_text("\n".join(lines))
    with pytest.raises(DlError, match="more than 200,000 values"):
        read_yaml(tmp_path / "dl.yaml")


def test_a_file_too_large_to_be_read_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    for read in (read_yaml, read_text, read_csv):
        with pytest.raises(DlError, match="huge is too large"):
            read(tmp_path / "huge")


def test_a_pipe_or_device_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("pipe", "zeros"):
        with pytest.raises(DlError, match=f"{name} is not a file"):
            read_yaml(tmp_path / name)


def test_json_nested_without_end_is_an_error_of_its_value() -> None:
    with pytest.raises(ValueError, match="too deep"):
        parse_json("[" * 100_000)


def test_an_empty_yaml_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "dl.yaml").write_text("# nothing yet\n")
    assert read_yaml(tmp_path / "dl.yaml") is None


def test_a_file_that_is_not_csv_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "names.csv"
    file.write_text('path\n"a')
    with pytest.raises(DlError, match=r"names\.csv is not valid CSV"):
        read_csv(file)


def test_yaml_keeps_the_order_given(tmp_path: Path) -> None:
    write_yaml(tmp_path / "classes.yaml", {"z": 1, "a": 2})
    assert (tmp_path / "classes.yaml").read_text() == "z: 1\na: 2\n"
