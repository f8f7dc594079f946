"""One value changed or removed in a YAML text, the rest as it stands."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dlcli.files.formats import amended, without
from dlcli.files.plain_yaml import plain_values


@pytest.mark.parametrize(
    ("text", "path", "value", "expected"),
    [
        ("", ["seed"], 3, "seed: 3\n"),
        ("# nothing yet\n", ["seed"], 3, "# nothing yet\nseed: 3\n"),
        ("seed: 1\n", ["seed"], 3, "seed: 3\n"),
        ("workers:\t 2\n", ["seed"], 3, "workers: 2\nseed: 3\n"),  # libyaml alone reads it
        ("seed: 1\nseed: 2\n", ["seed"], 3, "seed: 1\nseed: 3\n"),  # the last one counts
        ("seed: 1", ["seed"], 3, "seed: 3\n"),
        ("seed:\n", ["seed"], 3, "seed: 3\n"),
        ("seed: 1 # why\n", ["seed"], 3, "seed: 3 # why\n"),
        ("seed: 1\n", ["dataset"], "a: b", "seed: 1\ndataset: 'a: b'\n"),
        ("seed: 1", ["dataset"], "x", "seed: 1\ndataset: x\n"),
        ("seed: 1\n# the end\n", ["dataset"], "x", "seed: 1\ndataset: x\n# the end\n"),
        ("seed: 1\n", ["kaggle", "positive"], "no", "seed: 1\nkaggle:\n  positive: 'no'\n"),
        ("kaggle:\n", ["kaggle", "positive"], "dog", "kaggle:\n  positive: dog\n"),
        ("kaggle: # x\n", ["kaggle", "positive"], "dog", "kaggle: # x\n  positive: dog\n"),
        ("kaggle: {a: 1}\n", ["kaggle", "a"], 2, "kaggle: {a: 2}\n"),
        (
            "kaggle:\n    metric: m # m\nseed: 1\n",
            ["kaggle", "positive"],
            "dog",
            "kaggle:\n    metric: m # m\n    positive: dog\nseed: 1\n",
        ),
        (
            "train:\n  linear:\n    batch_size: 1\n",
            ["train", "finetune", "schedule"],
            "1e-3x2",
            "train:\n  linear:\n    batch_size: 1\n  finetune:\n    schedule: 1e-3x2\n",
        ),
        ("seed: 'one\n  two' # c\n", ["seed"], None, "seed: null # c\n"),
    ],
)
def test_the_value_is_changed_or_added_and_the_rest_stays(
    text: str, path: list[str], value: Any, expected: str
) -> None:
    assert amended(text, path, value) == expected


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
NAMES = st.sampled_from(["seed", "kaggle", "a", "b: c", "yes", "日"])
MAPPINGS = st.dictionaries(
    NAMES, VALUES | st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES))
)


@given(
    MAPPINGS,
    st.lists(NAMES, min_size=1, max_size=3),
    VALUES,
    st.sampled_from([True, False, None]),
    st.integers(2, 6),
)
def test_any_text_then_holds_the_value_and_what_it_held(
    mapping: dict[str, Any], path: list[str], value: Any, flow: bool | None, indent: int
) -> None:
    text = yaml.safe_dump(mapping, default_flow_style=flow, indent=indent, allow_unicode=True)
    wanted = at = yaml.safe_load(text)
    for name in path[:-1]:
        if not isinstance(at.get(name), dict):
            at[name] = {}
        at = at[name]
    at[path[-1]] = value
    assert yaml.safe_load(amended(text, path, value)) == wanted


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("seed: 3\n", ["seed"], ""),
        ("seed: 3", ["seed"], ""),
        ("seed:\ndataset: x\n", ["seed"], "dataset: x\n"),
        ("# mine\nseed: 3 # lucky\n\n# more\n", ["seed"], "# mine\n\n# more\n"),
        ("seed: 1\ndataset: x  # y\nworkers: 2\n", ["dataset"], "seed: 1\nworkers: 2\n"),
        ("seed: 'one\n  two' # c\nworkers: 2\n", ["seed"], "workers: 2\n"),
        ("seed: |\n  one\n  two\n# c\nworkers: 2\n", ["seed"], "# c\nworkers: 2\n"),
        (
            "kaggle:\n  # which\n  competition: a\n  positive: dog\n# end\n",
            ["kaggle", "competition"],
            "kaggle:\n  # which\n  positive: dog\n# end\n",
        ),
        (
            "seed: 1\nkaggle:  # all\n  # which\n  competition: a\n\n# end\naws:\n  disk: 9\n",
            ["kaggle", "competition"],
            "seed: 1\n  # which\n\n# end\naws:\n  disk: 9\n",
        ),
        (
            "train:\n  linear:\n    batch_size: 1\n  finetune:\n    schedule: 1e-3x2\n",
            ["train", "finetune", "schedule"],
            "train:\n  linear:\n    batch_size: 1\n",
        ),
        ("{seed: 3}\n", ["seed"], "{}\n"),
        ("{seed: 3, workers: 2}  # c\n", ["seed"], "{workers: 2}  # c\n"),
        ("aws: {disk: 9, idle: 1h}  # c\n", ["aws", "idle"], "aws: {disk: 9}  # c\n"),
        ("seed: 1\naws: {disk: 9}\n# c\n", ["aws", "disk"], "seed: 1\n# c\n"),
        ("aws: {exclude: ['*.zip', a]}\nseed: 1\n", ["aws", "exclude"], "seed: 1\n"),
        ("seed: 1\r\nworkers: 2\r\n", ["seed"], "workers: 2\r\n"),
        ("a: &x 1\nb: *x\n", ["a"], "b: 1\n"),
        ("a: 1\na: 2\nb: 3\n", ["a"], "b: 3\n"),
    ],
)
def test_a_value_is_taken_out_and_the_rest_stays(text: str, path: list[str], expected: str) -> None:
    assert without(text, path) == expected


def paths(mapping: dict[str, Any]) -> list[list[str]]:
    """The keys of every value that is no mapping, or an empty one."""
    found = []
    for name, held in mapping.items():
        inner = paths(held) if isinstance(held, dict) else []
        found += [[name, *path] for path in inner] or [[name]]
    return found


def pruned(mapping: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """The mapping without a value, and without what held nothing else."""
    name, *deeper = path
    inner = pruned(mapping[name], deeper) if deeper else None
    return {
        key: inner if key == name else held for key, held in mapping.items() if key != name or inner
    }


PLAIN_NAMES = st.sampled_from(["seed", "kaggle", "a", "b: c", "日"])
PLAIN = st.dictionaries(
    PLAIN_NAMES,
    VALUES | st.dictionaries(PLAIN_NAMES, VALUES | st.dictionaries(PLAIN_NAMES, VALUES)),
)


@given(PLAIN.filter(bool), st.data(), st.sampled_from([True, False, None]), st.integers(2, 6))
def test_any_text_then_holds_what_it_held_but_for_the_value(
    mapping: dict[str, Any], data: st.DataObject, flow: bool | None, indent: int
) -> None:
    path = data.draw(st.sampled_from(paths(mapping)))
    text = yaml.safe_dump(mapping, default_flow_style=flow, indent=indent, allow_unicode=True)
    assert (yaml.safe_load(without(text, path)) or {}) == pruned(yaml.safe_load(text), path)


@given(PLAIN.filter(bool), st.data(), st.integers(2, 6))
def test_every_comment_stays(mapping: dict[str, Any], data: st.DataObject, indent: int) -> None:
    path = data.draw(st.sampled_from(paths(mapping)))
    text = yaml.safe_dump(mapping, default_flow_style=False, indent=indent, allow_unicode=True)
    lines = text.splitlines(keepends=True)
    if not all(line.lstrip().partition(":")[0] in {"seed", "kaggle", "a", "日"} for line in lines):
        return  # a value of several lines, in which a comment is none
    commented = "".join(f"# {number}\n{line}" for number, line in enumerate(lines)) + "# end\n"
    left = without(commented, path)
    assert [line for line in left.splitlines() if line.startswith("#")] == [
        *(f"# {number}" for number in range(len(lines))),
        "# end",
    ]


@given(PLAIN, PLAIN_NAMES, VALUES)
def test_what_was_added_is_taken_out_again(mapping: dict[str, Any], name: str, value: Any) -> None:
    mapping.pop(name, None)
    text = yaml.safe_dump(mapping, allow_unicode=True) if mapping else ""
    assert without(amended(text, [name], value), [name]) == text


def test_of_a_block_that_stands_twice_the_last_one_is_removed() -> None:
    text = "train: 3\ntrain:\n  linear:\n    batch_size: 1\nseed: 2\n"
    assert plain_values(without(text, ["train", "linear", "batch_size"])) == {"seed": 2}
