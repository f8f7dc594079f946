"""Plain values of a YAML file without a parser: the parser's own, or none."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from dlcli.files.formats import dump_yaml
from dlcli.runs.listing import headlines

STATUS = {
    "state": "finished",
    "started": "2026-11-23T16:55:20.843379Z",
    "pid": 14737,
    "host": "vm-3.example",
    "reason": "no room, at all",
    "predicted": {"valid": "425712583b1489f8"},
    "best_epoch": 7,
    "val_loss": 1.5e-06,
    "val_accuracy": 0.76,
    "seconds": 285.5,
    "diagnosis": {
        "kind": "overfitting",
        "sentence": "Overfitting: the loss is 0.531 on the validation images " * 3,
        "next": ["the whole dataset, `-d ~/data/dogs`", "augmentation"],
    },
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
ORDINARY = st.sampled_from(["state", "epoch", "val_loss", "reason", "yes", "null", "host"])
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(ORDINARY | st.text(), inner),
    max_leaves=20,  # drawing a hundred takes most of the time, and shows no more
)


def flat(mapping: dict[Any, Any]) -> dict[Any, Any]:
    return {k: v for k, v in mapping.items() if v is not None and not isinstance(v, dict | list)}


def test_a_status_as_it_is_written_needs_no_parser() -> None:
    assert headlines(dump_yaml(STATUS).encode()) == flat(STATUS)


@given(st.dictionaries(ORDINARY | st.text(max_size=5), NESTED, min_size=1))
@example({"reason": "no room\nleft", "state": "failed"})
@example({"a": "x" * 300, "b": "word " * 60})
@example({"state": "on", "host": "1e3"})
def test_what_is_read_is_what_the_parser_reads(mapping: dict[str, Any]) -> None:
    data = dump_yaml(mapping).encode("utf-8", "surrogateescape")
    found = headlines(data)
    assert found is None or found == flat(mapping)


LINES = st.lists(st.text("abey_:'01.,-+ #[{&!|>~\t", max_size=8), max_size=5)


@given(LINES)
@example(["a:", "b: 1"])
@example(["a: 1", "a:", "  b: 2"])
@example(["a: '#'"])
@example(["a: 01", "b: -0"])
def test_lines_that_nobody_wrote_are_read_as_the_parser_reads_them(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    found = headlines(text.encode())
    if found is not None:
        assert found == flat(yaml.safe_load(text) or {})


@pytest.mark.parametrize(
    "text",
    [
        "state: finis",
        "state: [",
        "- a\n",
        "state: finished # done\n",
        "state: no\n",
        "on: 1\n",
        "---\nstate: failed\n",
        "state: 'it''s'\n",
        "state: {a: 1}\n",
        "state: finished\r\n",
        "reason: two\n  lines\n",
        "reason:\n  below\n",
        "next:\n- one\n",
        "a: |\n  b\n",
        "a: 1_0\n",
    ],
)
def test_a_line_out_of_the_ordinary_is_left_to_the_parser(text: str) -> None:
    assert headlines(text.encode()) is None


def test_bytes_that_are_no_text_are_left_to_the_parser() -> None:
    assert headlines(b"state: \xff\n") is None
    assert headlines(b"state: \x00\n") is None
