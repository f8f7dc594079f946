"""Where settings come from, which source wins, and what is said of a wrong one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlcli.catalog import recipe_names
from dlcli.config import Config, load_config
from dlcli.errors import DlError
from dlcli.files.formats import write_yaml
from dlcli.files.paths import find_project_file
from dlcli.keys import all_keys, declared
from dlcli.runs.run import Run
from dlcli.settings.schedule import Schedule
from dlcli.settings.shared import Kaggle, Settings
from dlcli.settings_file import user_file

# A setting of each kind, with values that sources may give it.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "seed": st.integers(0, 10**6),
    "backbone": st.sampled_from(["vgg16", "resnet50", "none", "yes", "1e-3"]),
    "engine": st.sampled_from(["auto", "openvino", "keras"]),
    "workers": st.integers(1, 64),
    "kaggle.positive": st.sampled_from(["cat", "dog", "auto", "no"]),
    "train.finetune.batch_size": st.integers(1, 512),
    "train.finetune.augment": st.booleans(),
    "train.vgg-finetune.unfreeze": st.integers(0, 12),
}
SOURCES = ("user", "outer project", "project", "environment", "--config", "flag")


def nested(key: str, value: Any) -> dict[str, Any]:
    """{"kaggle": {"positive": value}} for `kaggle.positive`."""
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


def variable(key: str) -> str:
    """The environment variable of a setting."""
    return "DL_" + key.replace(".", "__").replace("-", "_").upper()


def load(file: Path, text: str, **environ: str) -> Config:
    """What `--config` and the environment give, read from a text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return load_config(file, environ=environ)


def refused(file: Path, text: str) -> DlError:
    """The error that a file of settings gives."""
    with pytest.raises(DlError) as caught:
        load(file, text)
    return caught.value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    given_by=st.dictionaries(
        st.sampled_from(SOURCES),
        st.fixed_dictionaries({}, optional=VALUES),
    )
)
def test_for_every_setting_the_last_source_that_gives_it_wins(
    home: Path, given_by: dict[str, dict[str, Any]]
) -> None:
    folder = home / "outer" / "inner" / "deep"
    shutil.rmtree(home / "outer", ignore_errors=True)
    folder.mkdir(parents=True)
    files = {
        "user": user_file(),
        "outer project": home / "outer" / "dl.yaml",
        "project": home / "outer" / "inner" / "dl.yaml",
        "--config": home / "outer" / "chosen.yaml",
    }
    for source, file in files.items():
        file.unlink(missing_ok=True)
        if source in given_by:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_yaml(file, _merged(given_by[source]))
    environ = {variable(k): str(v) for k, v in given_by.get("environment", {}).items()}
    chosen = files["--config"] if "--config" in given_by else None

    config = load_config(chosen, folder=folder, environ=environ).with_flags(
        {key: str(value) for key, value in given_by.get("flag", {}).items()}
    )

    heeded = [s for s in SOURCES if s != "outer project" or "project" not in given_by]
    for key in VALUES:
        sources = [s for s in heeded if key in given_by.get(s, {})]
        if not sources:
            assert config.get(key).origin == "default"
            assert config.get(key).value == declared(key).default
            continue
        expected = {"flag": "flag", "environment": variable(key)}.get(sources[-1])
        origin = expected or "~/" + str(files[sources[-1]].relative_to(home))
        assert config.get(key).value == given_by[sources[-1]][key]
        assert config.get(key).origin == origin


def _merged(values: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for key, value in values.items():
        at = merged
        *parents, name = key.split(".")
        for parent in parents:
            at = at.setdefault(parent, {})
        at[name] = value
    return merged


def test_every_setting_can_be_given_by_every_source(tmp_path: Path) -> None:
    for key in all_keys():
        setting = declared(key)
        text = "none" if setting.optional else setting.text(setting.default)
        environ = {variable(key): text}
        assert load_config(environ=environ).get(key).origin == variable(key)
        file = tmp_path / "config.yaml"
        write_yaml(file, nested(key, text))
        assert load_config(file, environ={}).get(key).origin == str(file)
        assert load_config(environ={}).with_flags({key: text}).is_flag(key)


def test_defaults_are_the_declared_ones_with_home_for_the_tilde(home: Path) -> None:
    shared = load_config(environ={}).settings()
    assert shared == Settings(data_dir=home / "data", runs_dir=home / "runs", kaggle=Kaggle())
    for name in recipe_names():
        assert load_config(environ={}).recipe(name) == type(load_config().recipe(name))()


def test_a_number_that_yaml_reads_as_text_is_a_number(tmp_path: Path) -> None:
    config = load(tmp_path / "c.yaml", "train: {finetune: {schedule: 1e-3, batch_size: '12'}}")
    recipe = config.recipe("finetune")
    assert recipe.schedule == Schedule(((0.001, 1),))
    assert recipe.batch_size == 12


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [
        ("seed: yes", "`seed` can't be True", "expected a whole number, at least 0"),
        ("seed: -1", "`seed` can't be -1", "expected a whole number, at least 0"),
        (
            f"seed: {2**32}",
            "`seed` can't be 4294967296",
            "expected a whole number, at least 0 and below 4294967296",
        ),
        ("workers: many", "`workers` can't be 'many'", "expected a whole number, at least 1 and"),
        ("engine: gpu", "`engine` can't be 'gpu'", "expected one of auto, openvino, keras"),
        ("dataset: [a]", "`dataset` can't be ['a']", "expected text, or none"),
        ("data_dir: 3", "`data_dir` can't be 3", "expected a path"),
        (
            "train: {finetune: {augment: 2}}",
            "`train.finetune.augment` can't be 2",
            "expected true or false",
        ),
        (
            "train: {finetune: {schedule: }}",
            "`train.finetune.schedule` can't be None",
            "expected rates and",
        ),
    ],
)
def test_a_value_of_the_wrong_type_names_the_file_and_what_was_expected(
    tmp_path: Path, text: str, what: str, why: str
) -> None:
    error = refused(tmp_path / "dl.yaml", text)
    assert error.what.startswith(f"{tmp_path}/dl.yaml: ")
    assert what in error.what
    assert error.why.startswith(why)


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("sed: 1", "sed", "`seed`"),
        ("bacbone: vgg16", "bacbone", "`backbone`"),
        ("kaggle: {postive: dog}", "kaggle.postive", "`kaggle.positive`"),
        ("train: {finetun: {batch_size: 1}}", "train.finetun.batch_size", "batch_size`"),
        ("train: {linear: {bach_size: 1}}", "train.linear.bach_size", "`train.linear.batch_size`"),
        ("seed: {value: 1}", "seed.value", "`seed`"),
        ("1: 2", "1", "dl config show"),
    ],
)
def test_an_unknown_key_names_the_file_and_the_nearest_known_one(
    tmp_path: Path, text: str, key: str, nearest: str
) -> None:
    error = refused(tmp_path / "dl.yaml", text)
    assert error.what == f"{tmp_path}/dl.yaml: No setting is called `{key}`"
    assert nearest in error.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- seed", "should hold lines of `key: value`"),
        ("seed", "should hold lines of `key: value`"),
        ("kaggle: dogs", "`kaggle` holds other settings"),
        ("train: 3", "`train` holds other settings"),
        ("train: 3", "Below it, write the name of a recipe and"),
        ("train: {finetune: [1]}", "`train.finetune` holds other settings"),
        ("kaggle.positive: dog", "`kaggle.positive` must be indented below `kaggle:`"),
    ],
)
def test_a_file_of_another_shape_says_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    assert words in str(refused(tmp_path / "dl.yaml", text))


@pytest.mark.parametrize(
    "text",
    [
        "LONG: 1",
        "train: {linear: {LONG: 1}}",
        "train: {LONG: {batch_size: 1}}",
        "train: LONG",
        "LONG.seed: 1",
        "seed.LONG: 1",
        "seed.x: LONG",
        "seed: LONG",
        "train: {finetune: {schedule: LONG}}",
        "aws: {ingress: LONG}",
        "aws: {idle: LONG}",
        "seed: *LONG",
        "LONG",
    ],
)
def test_a_long_key_or_value_is_cut_in_the_error(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path / "dl.yaml", text.replace("LONG", "x" * 9000))
    assert len(str(error)) < 1000 + len(str(tmp_path))


@pytest.mark.parametrize("text", ["", "# nothing yet", "kaggle:", "train:\n  finetune:\n"])
def test_a_file_or_block_without_settings_changes_nothing(tmp_path: Path, text: str) -> None:
    assert load(tmp_path / "dl.yaml", text).values == {}


def test_a_missing_config_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DlError, match=r"No such file: .*/none\.yaml"):
        load_config(tmp_path / "none.yaml")


def test_an_unknown_variable_is_a_warning_that_names_the_nearest() -> None:
    config = load_config(environ={"DL_SEDE": "1", "DLIB": "1", "OTHER": "1"})
    (warning,) = config.warnings
    assert warning.startswith("DL_SEDE is not a setting. Did you mean `DL_SEED`")
    assert config.get("seed").value == 0


def test_reserved_variables_are_no_settings_and_no_warnings() -> None:
    reserved = {"DL_DEBUG": "1", "DL_TEST_DATA": "/data", "DL_REQUIRE_ALL": "1"}
    assert load_config(environ=reserved).warnings == ()


def test_two_underscores_in_a_variable_stand_for_nesting() -> None:
    environ = {"DL_KAGGLE__POSITIVE": "dog", "DL_TRAIN__VGG_FINETUNE__SCHEDULE": "1e-4x2"}
    config = load_config(environ=environ)
    assert config.settings().kaggle.positive == "dog"
    assert config.recipe("vgg-finetune").schedule == Schedule(((1e-4, 2),))


def test_a_wrong_value_in_the_environment_names_the_variable() -> None:
    with pytest.raises(DlError, match="DL_SEED: `seed` can't be 'abc'"):
        load_config(environ={"DL_SEED": "abc"})


def test_a_relative_path_is_relative_to_the_file_that_it_stands_in(tmp_path: Path) -> None:
    config = load(tmp_path / "project" / "dl.yaml", "data_dir: data\nruns_dir: ~/elsewhere\n")
    assert config.settings().data_dir == tmp_path / "project" / "data"
    assert config.settings().runs_dir == Path.home() / "elsewhere"


def test_a_runs_config_is_accepted_without_its_record(tmp_path: Path) -> None:
    run = Run(tmp_path)
    write_yaml(
        run.config_file,
        {
            "seed": 7,
            "train": {"finetune": {"batch_size": 8, "early_stopping": None}},
            "run": {"recipe": "finetune", "versions": {"keras": "3"}},
        },
    )
    config = load_config(run.config_file, environ={})
    assert config.settings().seed == 7
    assert config.recipe("finetune").batch_size == 8


def test_values_of_the_datasets_own_file_go_over_all_but_flags() -> None:
    config = load_config(environ={"DL_KAGGLE__METRIC": "accuracy"})
    config = config.with_flags({"kaggle.positive": "cat"})
    config = config.with_defaults(
        {"kaggle": {"positive": "dog", "metric": "log_loss"}}, "dataset.yaml"
    )
    assert config.settings().kaggle == Kaggle(positive="cat", metric="log_loss")
    assert config.get("kaggle.metric").origin == "dataset.yaml"


def test_the_nearest_project_file_is_found_upward(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_project_file(tmp_path / "a" / "b") is None
    (tmp_path / "dl.yaml").touch()
    assert find_project_file(tmp_path / "a" / "b") == tmp_path / "dl.yaml"
    (tmp_path / "a" / "dl.yaml").touch()
    assert find_project_file(tmp_path / "a" / "b") == tmp_path / "a" / "dl.yaml"


def test_the_guide_lists_every_setting_with_its_default_and_meaning() -> None:
    guide = (Path(__file__).parent.parent / "docs" / "config.md").read_text()
    for key in all_keys():
        if not key.startswith("train."):
            setting = declared(key)
            assert f"| `{key}` | `{setting.text(setting.default)}` | {setting.help} |" in guide
