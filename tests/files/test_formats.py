"""Text, YAML and CSV give back any file name, or say what is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import read_csv, read_text, read_yaml, write_csv, write_yaml

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
        "day: 2026-99-99",  # read as a date that there isn't
        "!!python/object/apply:os.system ['true']",
        "seed: \x01",
    ],
)
def test_a_file_that_is_not_yaml_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "dl.yaml"
    file.write_text(text)
    with pytest.raises(DlError, match=r"dl\.yaml is not valid YAML"):
        read_yaml(file)


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
        ("a: 2026-13-45\n", "month must be in 1..12"),
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
