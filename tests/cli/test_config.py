"""`dl config`: show, get, set, unset, path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.terminal import at_terminal

from dlcli.keys import all_keys

pytestmark = pytest.mark.slow


def row(table: str, key: str) -> list[str]:
    """The cells of one setting's row."""
    (line,) = [line for line in table.splitlines() if line.split()[0] == key]
    return line.split(maxsplit=2)[1:]


def test_show_prints_every_setting_and_its_value(dl: Dl) -> None:
    table = ok(dl("config", "show")).stdout
    header, *rows = table.splitlines()
    assert header.split() == ["setting", "value"]
    assert [line.split()[0] for line in rows] == list(all_keys())
    assert row(table, "data_dir") == ["~/data"]
    assert row(table, "seed") == ["0"]
    assert row(table, "workers") == ["auto"]
    assert row(table, "dataset") == ["none"]
    assert row(table, "train.finetune.augment") == ["false"]


def test_show_origin_says_where_each_value_came_from(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("config", "set", "seed", "1"))
    (home / "dl.yaml").write_text("kaggle: {positive: dog}\nseed: 2\n")
    (home / "DL_my.yaml").write_text("image_size: 96\n")
    monkeypatch.setenv("DL_WORKERS", "3")
    table = ok(
        dl("config", "show", "--origin", "--runs-dir", "runs", "--config", "DL_my.yaml")
    ).stdout
    assert row(table, "seed") == ["2", "project file ~/dl.yaml"]
    assert row(table, "kaggle.positive") == ["dog", "project file ~/dl.yaml"]
    assert row(table, "workers") == ["3", "environment variable DL_WORKERS"]
    assert row(table, "image_size") == ["96", "--config DL_my.yaml"]
    assert row(table, "runs_dir") == ["~/runs", "option"]
    assert row(table, "backbone") == ["efficientnet-lite0", "default"]


def test_show_takes_a_word_of_the_names_to_print(dl: Dl) -> None:
    def keys(*words: str) -> list[str]:
        return [
            line.split()[0] for line in ok(dl("config", "show", *words)).stdout.splitlines()[1:]
        ]

    assert keys("DISK") == ["aws.disk"]
    assert keys("aws") == [key for key in all_keys() if key.startswith("aws.")]
    assert keys("--", "--batch-size") == [key for key in all_keys() if key.endswith("batch_size")]
    assert keys("train.vgg_fc.d") == ["train.vgg-fc.dropout"]
    assert list(json.loads(ok(dl("config", "show", "seed", "--json")).stdout)) == ["seed"]
    said = dl("config", "show", "sed")
    assert said.exit_code == 2
    assert said.stderr.startswith("Error: No setting's name contains 'sed'\nDid you mean `seed`")


def test_show_changed_prints_only_what_something_sets(dl: Dl) -> None:
    assert "Nothing sets any of these" in ok(dl("config", "show", "--changed")).stderr
    ok(dl("config", "set", "train.finetune.dropout", "0.3"))
    ok(dl("config", "set", "seed", "1"))
    assert ok(dl("config", "show", "--changed")).stdout.splitlines() == [
        "setting                 value",
        "seed                    1",
        "train.finetune.dropout  0.3",
    ]
    assert list(json.loads(ok(dl("config", "show", "seed", "--changed", "--json")).stdout)) == [
        "seed"
    ]


def test_an_origin_stays_beside_its_value_on_a_terminal(home: Path) -> None:
    (home / ".config" / "dl").mkdir(parents=True)
    (home / ".config" / "dl" / "config.yaml").write_text("seed: 1\n")
    code = "from dlcli.cli import main; main(['config', 'show', '--origin'])"
    header, *rows = at_terminal("-c", code).splitlines()
    assert header.split() == ["setting", "value", "comes", "from"]
    assert [row.split()[0] for row in rows if row.endswith("default")] == [
        key for key in all_keys() if key != "seed"
    ]
    seed = [row.split() for row in rows].index(["seed", "1"])
    assert rows[seed + 1].strip() == "your file ~/.config/dl/config.yaml"


def test_show_as_json_holds_plain_values(dl: Dl, home: Path) -> None:
    shown = json.loads(ok(dl("config", "show", "--json")).stdout)
    assert list(shown) == list(all_keys())
    assert shown["seed"] == {"value": 0, "origin": "default"}
    assert shown["workers"] == {"value": None, "origin": "default"}
    assert shown["data_dir"] == {"value": str(home / "data"), "origin": "default"}


def test_what_get_prints_set_takes(dl: Dl, home: Path) -> None:
    group = ""
    for key in all_keys():
        if key.rpartition(".")[0] != group:  # a file of all 200 settings takes its time to read
            group = key.rpartition(".")[0]
            (home / ".config" / "dl" / "config.yaml").unlink()
        value = ok(dl("config", "get", key)).stdout.removesuffix("\n")
        ok(dl("config", "set", key, value))
        assert ok(dl("config", "get", key)).stdout == value + "\n"


def test_set_writes_the_persons_own_file_or_the_projects(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "project" / "deep").mkdir(parents=True)
    monkeypatch.chdir(home / "project" / "deep")
    said = ok(dl("config", "set", "seed", "1"))
    assert said.stderr == "seed is 1 in ~/.config/dl/config.yaml\n"
    assert (home / ".config" / "dl" / "config.yaml").read_text() == "seed: 1\n"

    (home / "project" / "dl.yaml").touch()
    ok(dl("config", "set", "--project", "seed", "2"))
    assert (home / "project" / "dl.yaml").read_text() == "seed: 2\n"
    (home / "project" / "dl.yaml").unlink()
    ok(dl("config", "set", "--project", "seed", "3"))
    assert (home / "project" / "deep" / "dl.yaml").read_text() == "seed: 3\n"


def test_the_last_part_of_a_name_is_enough_if_no_other_name_ends_so(dl: Dl, home: Path) -> None:
    said = ok(dl("config", "set", "variant", "statefarm"))
    assert said.stderr == "train.cnn.variant is statefarm in ~/.config/dl/config.yaml\n"
    assert ok(dl("config", "get", "variant")).stdout == "statefarm\n"
    assert "train.cnn.variant is no longer set" in ok(dl("config", "unset", "variant")).stderr


def test_set_says_which_other_source_goes_first(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "dl.yaml").write_text("seed: 5\n")
    assert "~/dl.yaml overrides it with 5." in ok(dl("config", "set", "seed", "1")).stderr
    assert "overrides" not in ok(dl("config", "set", "--project", "seed", "6")).stderr
    monkeypatch.setenv("DL_SEED", "7")
    said = ok(dl("config", "set", "--project", "seed", "8")).stderr
    assert "DL_SEED overrides it with 7." in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sed", "1"], "Did you mean `seed`?"),
        (["seed", "abc"], "`seed` can't be 'abc': expected a whole number, at least 0"),
        (["kaggle", "dogs"], "No setting is called `kaggle`"),
        (["train.fintune.schedule", "1e-3"], "Did you mean `train.finetune.schedule`"),
        (["lr", "0.01"], "`dl config set train.finetune.schedule "),
        (["epochs", "5"], "a recipe's schedule holds rates and epochs"),
        (["train.cnn.lr", "0.01"], "`dl config set train.cnn.schedule "),
        (["dropout", "0.3"], "For one recipe: `dl config set train.finetune.dropout 0.3`."),
        (
            ["batch-size", "32"],
            "recipes has its own\nFor one recipe: `dl config set train.finetune.b",
        ),
        (["train.batch_size=32"], "For all, set each: `dl config show .batch_size` lists them.\n"),
        (["seed"], "`dl config set` needs VALUE"),
    ],
)
def test_set_refuses_what_it_does_not_know(
    dl: Dl, home: Path, words: list[str], message: str
) -> None:
    said = dl("config", "set", *words)
    assert said.exit_code == 2
    assert message in said.stderr
    assert not (home / ".config").exists()


def test_set_takes_name_and_value_in_one_word_too(dl: Dl) -> None:
    said = ok(dl("config", "set", "train.finetune.batch_size=32")).stderr
    assert said == "train.finetune.batch_size is 32 in ~/.config/dl/config.yaml\n"
    assert ok(dl("config", "get", "train.finetune.batch_size")).stdout == "32\n"


def test_a_broken_file_stops_every_command_and_is_not_overwritten(dl: Dl, home: Path) -> None:
    (home / "dl.yaml").write_text("seed: [1\n")
    for words in (["config", "show"], ["config", "set", "--project", "seed", "2"], ["data", "ls"]):
        said = dl(*words)
        assert said.exit_code == 1
        assert "~/dl.yaml is not valid YAML" in said.stderr
    assert (home / "dl.yaml").read_text() == "seed: [1\n"


def test_an_unknown_variable_is_a_warning_on_stderr(
    dl: Dl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DL_BACKBON", "vgg16")
    said = ok(dl("config", "get", "backbone"))
    assert said.stdout == "efficientnet-lite0\n"
    assert "Warning: DL_BACKBON is not a setting. Did you mean `DL_BACKBONE`" in said.stderr


MINE = "# mine\nseed: 3  # lucky\nkaggle:\n  # which\n  competition: a\n# end\n"


@pytest.mark.parametrize(
    ("words", "name"),
    [(["seed"], ".config/dl/config.yaml"), (["seed", "--project"], "dl.yaml")],
    ids=["own", "project"],
)
def test_unset_removes_a_setting_and_leaves_the_rest(
    dl: Dl, home: Path, words: list[str], name: str
) -> None:
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(MINE)
    said = ok(dl("config", "unset", *words))
    assert said.stdout == ""
    assert said.stderr == f"seed is no longer set in ~/{name}\nNow it is 0, the default.\n"
    assert file.read_text() == MINE.replace("seed: 3  # lucky\n", "")
    assert ok(dl("config", "unset", *words)).stderr.startswith(f"seed is not set in ~/{name}\n")
    ok(dl("config", "unset", "kaggle.competition", *words[1:]))
    assert file.read_text() == "# mine\n  # which\n# end\n"
    assert ok(dl("config", "get", "kaggle.competition")).stdout == "none\n"


def test_of_your_own_file_nothing_is_left_after_its_last_setting(dl: Dl, home: Path) -> None:
    own = home / ".config/dl/config.yaml"
    for key, value in (("seed", "3"), ("aws.disk", "60")):
        ok(dl("config", "set", key, value))
        ok(dl("config", "unset", key))
        assert not own.exists()
        assert ok(dl("config", "path")).stdout.startswith(f"{own}  (missing)\n")
    own.write_text("# mine\nseed: 3\n")
    ok(dl("config", "unset", "seed"))
    assert own.read_text() == "# mine\n"
    goal = home / "dotfiles.yaml"
    goal.write_text("seed: 3\n")
    own.unlink()
    own.symlink_to(goal)
    ok(dl("config", "unset", "seed"))
    assert goal.read_text().strip() in ("", "{}"), "a link stays, and what it leads to"
    (home / "dl.yaml").write_text("seed: 3\n")
    ok(dl("config", "unset", "seed", "--project"))
    assert (home / "dl.yaml").exists(), "it still makes its folder a project"


def test_unset_says_which_other_source_holds_now(dl: Dl, home: Path) -> None:
    (home / "dl.yaml").write_text("seed: 3\n")
    ok(dl("config", "set", "seed", "4"))
    said = ok(dl("config", "unset", "seed")).stderr
    assert said.endswith("Now it is 3, from ~/dl.yaml.\n")
    assert ok(dl("config", "unset", "data_dir")).stderr.endswith("Now it is ~/data, the default.\n")


def test_unset_mends_a_file_with_an_unknown_setting(dl: Dl, home: Path) -> None:
    (home / "dl.yaml").write_text("sede: 1\nseed: 2\nmore: {deep: {er: {est: 1}}}\n1: x\n")
    for key in ("sede", "more.deep.er.est", "1"):
        assert ok(dl("config", "unset", key, "--project")).stderr == (
            f"{key} is no longer set in ~/dl.yaml\n"
        )
    assert (home / "dl.yaml").read_text() == "seed: 2\n"
    refused = dl("config", "unset", "sede", "--project")
    assert refused.exit_code == 2
    assert "No setting is called `sede`" in refused.stderr
    assert "`seed`" in refused.stderr


@pytest.mark.parametrize("text", ["seed: [1", "- 3\n", "kaggle: 3\n"])
def test_unset_leaves_a_file_alone_that_holds_no_settings(dl: Dl, home: Path, text: str) -> None:
    (home / "dl.yaml").write_text(text)
    assert dl("config", "unset", "seed", "--project").exit_code == 1
    assert (home / "dl.yaml").read_text() == text


@pytest.mark.parametrize("key", ["data_dir", "runs_dir", "seed"])
@pytest.mark.parametrize("word", ["none", "None", "null"])
def test_what_always_has_a_value_can_not_be_none_and_unset_is_named(
    dl: Dl, home: Path, key: str, word: str
) -> None:
    refused = dl("config", "set", key, word)
    assert refused.exit_code == 2
    assert f"`{key}` can't be '{word}'" in refused.stderr
    assert f"`dl config unset {key}`" in refused.stderr
    assert not (home / ".config").exists()


def test_no_folder_is_called_none_by_mistake(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = dl("data", "ls", "--data-dir", "none")
    assert refused.exit_code == 2
    assert (
        "`--data-dir` can't be 'none': expected a path; write `./none` for a folder of that name"
        in (refused.stderr)
    )
    ok(dl("data", "ls", "--data-dir", "./none"))
    monkeypatch.setenv("DL_RUNS_DIR", "none")
    assert "DL_RUNS_DIR: `runs_dir` can't be 'none'" in dl("runs").stderr


def test_path_prints_the_files_that_are_read(
    dl: Dl, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = home / ".config" / "dl" / "config.yaml"
    missing = f"{user}  (missing)\n"
    assert ok(dl("config", "path")).stdout == f"{missing}{home / 'dl.yaml'}  (missing)\n"
    (home / "dl.yaml").touch()
    (home / "deep").mkdir()
    monkeypatch.chdir(home / "deep")
    assert ok(dl("config", "path")).stdout == f"{missing}{home / 'dl.yaml'}\n"
    ok(dl("config", "set", "seed", "3"))
    assert ok(dl("config", "path")).stdout == f"{user}\n{home / 'dl.yaml'}\n"


def test_a_runs_config_can_be_given_to_any_command(dl: Dl, home: Path) -> None:
    (home / "config.yaml").write_text("seed: 4\nrun:\n  recipe: finetune\n  host: elsewhere\n")
    assert ok(dl("config", "get", "seed", "--config", "config.yaml")).stdout == "4\n"


def test_a_typing_error_in_a_file_leaves_the_way_to_mend_it_open(dl: Dl, home: Path) -> None:
    (home / "dl.yaml").write_text("sede: 1\n")
    assert "`seed`" in dl("config", "show").stderr
    assert ok(dl("config", "path")).stdout.endswith("/dl.yaml\n")
    said = ok(dl("config", "set", "seed", "7")).stderr
    assert "seed is 7" in said
    assert "`sede`" in said


def test_a_backbone_that_there_is_not_is_not_kept(dl: Dl) -> None:
    refused = dl("config", "set", "backbone", "vgg61")
    assert refused.exit_code != 0
    assert "`vgg16`" in refused.stderr
    assert ok(dl("config", "get", "backbone")).stdout == "efficientnet-lite0\n"
