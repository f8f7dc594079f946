"""One value changed in a YAML text, the rest as it stands."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dlcli.files.formats import amended


@pytest.mark.parametrize(
    ("text", "path", "value", "expected"),
    [
        ("", ["seed"], 3, "seed: 3\n"),
        ("# nothing yet\n", ["seed"], 3, "# nothing yet\nseed: 3\n"),
        ("seed: 1\n", ["seed"], 3, "seed: 3\n"),
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
