"""What `dl` imports before it does anything: help and completion have to answer at once.

Each case is a process of its own, asked afterwards what it has loaded. What it takes in time is
measured elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.loaded_modules import loaded
from support.project import BROKEN, WIDE, make_project

from dlcli.catalog import built_in_names
from dlcli.files.formats import write_yaml


def completed(words: str) -> tuple[set[str], list[str]]:
    """The heavy modules loaded to complete a command line's last word, and the completions."""
    count = len(words.split(" ")) - 1
    environ = {"_DL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    heavy, output = loaded(environ=environ)
    return heavy, [line.partition(",")[2] for line in output.splitlines() if line]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["train", "finetune", "--help"],
        ["data", "--help"],
        ["data", "split", "--help"],
        ["features", "--help"],
        ["evaluate", "--help"],
        ["predict", "--help"],
        ["export", "--help"],
        ["runs", "--help"],
        ["submit", "--help"],
        ["config", "--help"],
        ["demo", "--help"],
        ["recipes"],
        ["trian"],
    ],
    ids=" ".join,
)
def test_help_and_the_like_import_nothing_heavy(arguments: list[str]) -> None:
    heavy, output = loaded(*arguments)
    assert output.strip()
    assert heavy == set()


def test_commands_are_completed_without_heavy_imports() -> None:
    heavy, words = completed("dl ")
    assert {"data", "features", "train", "evaluate", "submit"} <= set(words)
    assert heavy == set()


def test_recipes_are_completed_without_heavy_imports() -> None:
    heavy, words = completed("dl train ")
    assert words == list(built_in_names())
    assert heavy == set()


def test_recipes_of_a_project_are_completed_and_listed_without_running_any(home: Path) -> None:
    make_project(home, wide=WIDE + "\nimport keras\n", broken=BROKEN, linear=WIDE)
    heavy, words = completed("dl train ")
    assert {"broken", "finetune", "wide"} <= set(words)
    assert heavy == set()
    for arguments in (["--help"], ["train", "--help"], ["train", "finetune", "--help"]):
        assert loaded(*arguments)[0] == set()
    heavy, words = completed("dl train wide --un")
    assert words == ["--units"]
    assert heavy == set()
    assert completed("dl config get train.wide.u") == (set(), ["train.wide.units"])
    assert "--debug" in completed("dl train broken --")[1]


def test_options_and_their_values_are_completed_without_heavy_imports() -> None:
    heavy, words = completed("dl train finetune --unf")
    assert words == ["--unfreeze", "--unfreeze-schedule"]
    assert heavy == set()
    heavy, words = completed("dl train finetune --engine ")
    assert words == ["auto", "openvino", "keras"]
    assert heavy == set()
    heavy, words = completed("dl train finetune --backbone efficientnet-l")
    assert words == [f"efficientnet-lite{size}" for size in range(3)]
    assert heavy == set()


def test_datasets_are_completed_without_heavy_imports(home: Path) -> None:
    for name in ("dogscats", "dogscats-sample", "fish"):
        (home / "data" / name).mkdir(parents=True)
    for words in ("dl data split dog", "dl train finetune -d dog"):
        heavy, names = completed(words)
        assert names == ["dogscats", "dogscats-sample"]
        assert heavy == set()


def test_runs_are_completed_the_newest_first_without_heavy_imports(home: Path) -> None:
    for name in ("202611231409-linear", "202611231410-finetune"):
        (home / "runs" / "dogs" / name).mkdir(parents=True)
        write_yaml(home / "runs" / "dogs" / name / "status.yaml", {"state": "finished"})
    for command in ("evaluate", "submit", "resume"):
        heavy, names = completed(f"dl {command} ")
        assert names == ["202611231410-finetune", "202611231409-linear"]
        assert heavy == set()


def test_completion_says_nothing_of_a_broken_configuration(home: Path) -> None:
    (home / "dl.yaml").write_text("data_dir: [")
    _, names = completed("dl data split ")
    assert names == [""]
    assert completed("dl evaluate ")[1] == []
