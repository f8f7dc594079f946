"""`dl runs` as it is typed: the list, and the best of it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.listed_runs import listed_run
from support.loaded_modules import loaded
from support.terminal import at_terminal

from dlcli.cli.runs import MODULES
from dlcli.files.formats import write_yaml
from dlcli.runs.run import Run

TABLE = [
    "run                       state     epochs  val_loss  accuracy  seconds",
    "202611231411-ensemble-m2  finished            0.2000    0.9500",
    "202611231410-cnn-e3       failed    1/3",
    "202611231409-finetune-e3  finished  3         0.2500    0.9000  1,234.6",
]


def test_without_a_command_the_runs_of_the_current_dataset_are_listed(
    dl: Dl, three: list[Run]
) -> None:
    said = ok(dl("runs"))
    assert said.stdout.splitlines() == TABLE
    assert said.stderr.splitlines() == [
        "Dataset ~/data/tiny (last named)",
        "3 runs in ~/runs/tiny; next: `dl runs show RUN`, `dl runs best`",
    ]
    assert ok(dl("runs", "ls")).stdout == said.stdout


def test_the_next_command_looks_in_the_same_runs_folder(
    dl: Dl, three: list[Run], home: Path
) -> None:
    (home / "runs").rename(home / "elsewhere")
    said = ok(dl("runs", "--runs-dir", home / "elsewhere")).stderr
    assert "`dl runs show RUN --runs-dir ~/elsewhere`, `dl runs best --runs-dir" in said


def names(dl: Dl, *words: str) -> list[str]:
    return [row["recipe"] for row in json.loads(ok(dl("runs", *words, "--json")).stdout)]


def test_filters_and_sorting_may_follow_at_once(dl: Dl, three: list[Run]) -> None:
    assert names(dl, "recipe=finetune") == ["finetune"]
    assert names(dl, "val_accuracy>0.92") == ["ensemble"]
    assert names(dl, "state!=failed", "epochs=3") == ["finetune"]
    assert names(dl, "accuracy>0.92") == names(dl, "accuracy=0.95") == ["ensemble"]
    assert names(dl, "--sort", "val_loss") == ["ensemble", "finetune", "cnn"]
    assert names(dl, "--sort", "-val_loss") == ["finetune", "ensemble", "cnn"]
    assert names(dl, "--sort", "-dropout", "seed=0", "dropout<=0.5") == [
        "ensemble",
        "finetune",
        "cnn",
    ]
    said = ok(dl("runs", "ls", "state=failed"))
    assert "1 of 3 runs in ~/runs/tiny" in said.stderr


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("finetune",), ["finetune"]),
        (("ls", "ensemble"), ["ensemble"]),
        (("failed", "--json"), ["cnn"]),
        (("ls", "finished", "seed=0", "finetune"), ["finetune"]),
    ],
)
def test_a_recipe_or_a_state_alone_is_a_filter(
    dl: Dl, three: list[Run], words: tuple[str, ...], names: list[str]
) -> None:
    said = ok(dl("runs", *words, "--json"))
    assert [row["recipe"] for row in json.loads(said.stdout)] == names
    assert " stands for " in said.stderr


def test_what_a_bare_word_stands_for_is_said(dl: Dl, three: list[Run]) -> None:
    assert "finetune stands for recipe=finetune.\n" in ok(dl("runs", "best", "finetune")).stderr


def test_a_question_about_another_dataset_leaves_the_one_last_named(
    dl: Dl, three: list[Run], home: Path
) -> None:
    listed_run("202611231500-fc-e3", "fish", recipe="fc")
    listed_run("202611231501-fc-e3", "fish", recipe="fc")
    image = home / "data" / "fish" / "train" / "cod" / "1.jpg"
    image.parent.mkdir(parents=True)
    image.touch()
    for words in (["best"], ["ls"], ["show"], ["diff"], ["report"], ["du"]):
        ok(dl("runs", *words, "-d", "fish"))
        assert "Dataset ~/data/tiny (last named)" in ok(dl("runs")).stderr, words


def test_a_setting_that_is_asked_for_has_a_column(dl: Dl, three: list[Run]) -> None:
    said = ok(dl("runs", "batch_size=16", "--sort", "seed"))
    assert said.stdout.splitlines()[0].split()[-2:] == ["batch_size", "seed"]
    assert said.stdout.splitlines()[1].split()[-2:] == ["16", "0"]


def test_an_unfinished_run_tells_how_far_it_came_and_its_best_scores(dl: Dl, dataset: Path) -> None:
    run = listed_run("202611231409-finetune-e12-lr0.003-t1", state="interrupted", epoch=2)
    scores = [{"val_loss": 0.5, "val_accuracy": 0.75}, {"val_loss": 0.25, "val_accuracy": 0.875}]
    run.write_history([{"epoch": n, **each} for n, each in enumerate(scores, start=1)])
    run.update_status(best_epoch=2, **scores[1])
    said = ok(dl("runs"))
    assert f"1 run in ~/runs/tiny; next: `dl resume {run.name}`" in said.stderr
    cells = said.stdout.splitlines()[1].split()
    assert cells[1:] == ["interrupted", "2/3", "0.2500", "0.8750"]
    assert "epochs          2 of 3\nbest epoch      2\n" in ok(dl("runs", "show", run.name)).stdout


def test_a_run_says_itself_how_many_epochs_are_planned_whatever_its_recipe(
    dl: Dl, dataset: Path
) -> None:
    stopped = listed_run(
        "202611231410-own", recipe="own", state="interrupted", epoch=2, planned_epochs=9
    )
    early = listed_run("202611231409-fc", recipe="fc", planned_epochs=12)
    cells = [line.split() for line in ok(dl("runs")).stdout.splitlines()[1:]]
    assert [each[2] for each in cells] == ["2/9", "3"]
    assert "epochs          2 of 9\n" in ok(dl("runs", "show", stopped.name)).stdout
    assert (
        "epochs          3 of 12\nbest epoch      2\n" in ok(dl("runs", "show", early.name)).stdout
    )


def test_the_table_fits_80_columns_with_an_interrupted_run_and_the_usual_names(
    dataset: Path,
) -> None:
    listed_run("202611231409-vgg-finetune-e3-lr0.001-t1", seconds=1234.5)
    listed_run("202611231410-finetune-e12-lr0.003-t1", state="interrupted", epoch=1)
    table = at_terminal("-m", "dlcli", "runs").splitlines()[1:4]
    assert table[0].split() == ["run", "state", "epochs", "val_loss", "accuracy"]
    assert max(map(len, table)) <= 80
    wide = at_terminal("-m", "dlcli", "runs", columns=100)
    assert "1,234.5" in wide
    assert "1,234.5" in at_terminal("-m", "dlcli", "runs", "--sort", "seconds")


def test_a_narrow_terminal_keeps_the_columns_that_are_asked_for(dataset: Path) -> None:
    listed_run("202611231409-vgg-finetune-e3-lr0.001-t1", seconds=1234.5)
    assert "epochs" not in at_terminal("-m", "dlcli", "runs", columns=60).splitlines()[1]
    for words in (["--sort", "epochs"], ["epoch>1"]):
        assert "epochs" in at_terminal("-m", "dlcli", "runs", "ls", *words, columns=60)


def test_runs_of_all_datasets_are_named_with_theirs(dl: Dl, home: Path, three: list[Run]) -> None:
    listed_run("202611231412-linear", dataset="fish")
    said = ok(dl("runs", "--all"))
    assert said.stdout.splitlines()[1].startswith("fish/202611231412-linear ")
    assert "4 runs in ~/runs;" in said.stderr
    assert "Dataset" not in said.stderr


def test_at_a_narrow_terminal_a_runs_dataset_is_in_a_column_of_its_own(dataset: Path) -> None:
    name = "202611231409-vgg-finetune-e3-lr0.001-t1"
    listed_run(name, dataset="a-long-name-sample")
    listed_run("202611231412-linear", dataset="fish")
    header, *lines = at_terminal("-m", "dlcli", "runs", "--all", columns=70).splitlines()
    assert header.split() == ["run", "state", "val_loss", "accuracy"]
    assert lines[0] == "    dataset"
    assert lines[1].startswith("202611231412-linear ") and lines[2] == "    fish"
    assert lines[3].startswith(f"{name}  finished ") and lines[4] == "    a-long-name-sample"
    wide = at_terminal("-m", "dlcli", "runs", "--all", columns=110)
    assert f"\na-long-name-sample/{name}  finished " in wide


def test_runs_without_their_dataset_are_listed(dl: Dl, dataset: Path, three: list[Run]) -> None:
    dataset.rmdir()
    said = ok(dl("runs", "-d", "tiny"))
    assert said.stdout.splitlines() == TABLE
    assert "Runs of tiny, a dataset that does not exist here" in said.stderr
    assert ok(dl("runs", "best", "-d", "tiny")).stdout == "202611231411-ensemble-m2\n"
    refused = dl("runs", "-d", "nowhere")
    assert refused.exit_code == 1
    assert "No such dataset: nowhere" in refused.stderr


def test_where_no_dataset_is_named_it_says_how_to_see_the_runs_there_are(dl: Dl) -> None:
    assert "`dl data organize FOLDER`" in dl("runs").stderr
    listed_run()
    said = dl("runs")
    assert (said.exit_code, said.stdout) == (1, "")
    assert "No dataset is named\n" in said.stderr
    assert "`-d NAME`, or list all runs: `dl runs --all`." in said.stderr
    ok(dl("runs", "--all"))
    ok(dl("runs", "-d", "tiny"))


def test_where_there_are_no_runs_it_says_how_to_make_one(dl: Dl, dataset: Path) -> None:
    said = ok(dl("runs", "state=finished"))
    assert said.stdout == ""
    assert "No runs in ~/runs/tiny; next: `dl train finetune`" in said.stderr
    assert json.loads(ok(dl("runs", "--json")).stdout) == []


def test_json_and_csv_hold_every_run_under_one_header(dl: Dl, three: list[Run]) -> None:
    listed = json.loads(ok(dl("runs", "--json", "--sort", "batch_size")).stdout)
    rows = list(csv.DictReader(io.StringIO(ok(dl("runs", "--csv", "--sort", "batch_size")).stdout)))
    texts = [{k: "" if v is None else str(v) for k, v in row.items()} for row in listed]
    assert rows == texts
    assert listed[0] == {
        "run": "202611231410-cnn-e3",
        "dataset": "tiny",
        "state": "failed",
        "recipe": "cnn",
        "started": "2026-11-23T14:10:00.000000Z",
        "epoch": 1,
        "best_epoch": None,
        "val_loss": None,
        "val_accuracy": None,
        "seconds": None,
        "public_score": None,
        "batch_size": 16,
        "folder": str(three[1].path),
        "problem": None,
    }


def test_names_that_csv_has_to_quote_come_back(dl: Dl, dataset: Path) -> None:
    odd = ['a "b", c', "line\nbreak", "return\rhere"]
    for name in odd:
        listed_run(name)
    said = ok(dl("runs", "--csv"))
    rows = csv.DictReader(io.StringIO(said.stdout, newline=""), strict=True)
    assert sorted(row["run"] for row in rows) == odd
    assert "return\\rhere" in ok(dl("runs")).stdout


def test_what_is_no_number_is_null_in_json(dl: Dl, dataset: Path) -> None:
    run = listed_run(val_loss=float("nan"))
    for words in ("runs", f"runs show {run.name}"):
        text = ok(dl(*words.split(), "--json")).stdout
        assert "NaN" not in text


def test_a_damaged_run_says_what_is_wrong_in_a_column_that_is_there_for_it(
    dl: Dl, three: list[Run]
) -> None:
    three[1].status_file.write_bytes(b"state: [")
    listed = ok(dl("runs")).stdout.splitlines()
    assert listed[0].endswith("  problem")
    assert listed[1].startswith("202611231410-cnn-e3       damaged") or "damaged" in listed[2]
    wrong = "status.yaml is not valid YAML"
    assert sum(wrong in line for line in listed) == 1
    (row,) = json.loads(ok(dl("runs", "state=damaged", "--json")).stdout)
    assert wrong in row["problem"]
    assert ok(dl("runs", "best")).stdout == "202611231411-ensemble-m2\n"


@pytest.mark.parametrize(
    ("words", "what", "mend"),
    [
        ("dropuot=1", "No run here has a `dropuot`", "Did you mean `dropout`?"),
        ("nonsuch=1", "No run here has a `nonsuch`", "Keys: run, dataset, state"),
        ("--sort val_los", "No run here has a `val_los`", "Did you mean `val_loss`?"),
        ("val_accuracy", "'val_accuracy' is not a filter", "Quote filters"),
        ("--sort val_loss best", "'best' is not a filter", "Quote filters"),
        ("val_loss<low", "`val_loss<low` compares numbers with 'low'", "`'val_loss<0.5'`"),
        ("--json --csv", "Use `--json` or `--csv`, not both\n", ""),
        ("--all -d tiny", "`--all` and `-d` exclude each other: leave out one of them\n", ""),
        ("shwo", "`dl runs` has no command 'shwo'", "Did you mean `show`?"),
        (
            "best --metric f1",
            "`--metric` can't be 'f1': expected one of val_loss, val_accuracy",
            "",
        ),
        ("best recepi=cnn", "No run here has a `recepi`", "Did you mean `recipe`?"),
        ("rm", "Name runs", "`dl runs rm RUN`"),
        ("ls fintune", "'fintune' is not a filter\n", "Did you mean the recipe `finetune`"),
        ("fintune", "`dl runs` has no command 'fintune'", "Did you mean the recipe `finetune`"),
        ("ls tiny", "'tiny' is not a filter\n", "tiny is a dataset: `dl runs -d tiny`."),
        ("tinny", "`dl runs` has no command 'tinny'", "Did you mean the dataset `tiny`?"),
        ("cnn-e3", "no command 'cnn-e3'", "202611231410-cnn-e3 is a run: `dl runs show cnn-e3`."),
        ("best 202611231410-cnn-e4", "not a filter", "the run `202611231410-cnn-e3`"),
    ],
)
def test_what_can_not_be_meant_is_a_usage_error(
    dl: Dl, three: list[Run], words: str, what: str, mend: str
) -> None:
    said = dl("runs", *words.split())
    assert said.exit_code == 2
    assert what in said.stderr
    assert mend in said.stderr
    assert said.stdout == ""


def test_times_are_shown_to_the_second_and_kept_as_they_are(dl: Dl, dataset: Path) -> None:
    recorded = "2026-11-23T14:09:31.123456Z"
    run = listed_run(started=recorded, finished=recorded)
    shown = "2026-11-23T14:09:31Z"
    for words in ("--sort started", "finished!=none"):
        assert ok(dl("runs", *words.split())).stdout.splitlines()[1].endswith(f"  {shown}")
    assert f"started         {shown}" in ok(dl("runs", "show", run.name)).stdout
    (row,) = json.loads(ok(dl("runs", "--json")).stdout)
    assert row["started"] == recorded


def test_lr_is_the_highest_rate_of_a_schedule(dl: Dl, dataset: Path) -> None:
    listed_run("202611231409-low", hyperparameters={"schedule": "1e-5x2,1e-6x1"})
    listed_run("202611231410-high", hyperparameters={"schedule": "0.001x1,0.01x2"})
    for word in ("lr>0.005", "learning_rate=1e-2"):
        (row,) = json.loads(ok(dl("runs", word, "--json")).stdout)
        assert row["run"] == "202611231410-high"
    assert ok(dl("runs", "lr<=1e-5")).stdout.splitlines()[1].split()[-1] == "1e-05"
    low, _ = json.loads(ok(dl("runs", "--sort", "lr", "--json")).stdout)
    assert low["run"] == "202611231409-low"


def test_a_filter_that_no_run_passes_names_the_values_of_the_runs(dl: Dl, three: list[Run]) -> None:
    said = ok(dl("runs", "recipe=fintune", "batch_size=1"))
    assert said.stdout == ""
    assert said.stderr.splitlines()[1:] == [
        "None of 3 runs in ~/runs/tiny passes the filters.",
        "Values of the runs: recipe: cnn, ensemble, finetune; batch_size: 16, none",
    ]
    for words in ("best recipe=fc", "rm recipe=fc --yes"):
        refused = dl("runs", *words.split())
        assert refused.exit_code == 1
        assert "Values of the runs: recipe: cnn, ensemble, finetune\n" in refused.stderr


# The best


def test_the_best_is_its_name_alone_so_that_another_command_takes_it(
    dl: Dl, three: list[Run]
) -> None:
    said = ok(dl("runs", "best"))
    assert said.stdout == "202611231411-ensemble-m2\n"
    assert "Best of 2 by val_loss: 0.2000" in said.stderr
    assert ok(dl("runs", "best", "recipe!=ensemble")).stdout == "202611231409-finetune-e3\n"
    listed_run("202611231412-fc", recipe="fc", val_accuracy=0.99, val_loss=0.5)
    assert ok(dl("runs", "best", "--metric", "val_accuracy")).stdout == "202611231412-fc\n"


def test_a_name_that_two_datasets_runs_have_is_printed_so_that_it_is_found(
    dl: Dl, three: list[Run]
) -> None:
    listed_run(three[2].name, dataset="fish")
    best = ok(dl("runs", "best")).stdout
    assert best == f"tiny/{three[2].name}\n"
    ok(dl("runs", "show", best.strip()))


def test_the_best_of_another_dataset_of_the_same_name_is_left_out(
    dl: Dl, home: Path, three: list[Run]
) -> None:
    (home / "old" / "tiny").mkdir(parents=True)
    about = {"recipe": "ensemble", "dataset": {"path": str(home / "old" / "tiny")}}
    write_yaml(three[2].config_file, {"run": about})
    assert ok(dl("runs", "best")).stdout == f"{three[0].name}\n"
    write_yaml(three[0].config_file, {"run": about})
    said = dl("runs", "best")
    assert said.exit_code == 1
    assert "all runs there belong to another dataset of that name" in said.stderr


def test_without_a_best_it_says_what_there_is(dl: Dl, dataset: Path) -> None:
    said = dl("runs", "best")
    assert said.exit_code == 1
    assert "No finished run of tiny in ~/runs\nTrain one: `dl train finetune`." in said.stderr
    listed_run()
    said = dl("runs", "best", "val_accuracy>0.99")
    assert "No finished run of tiny in ~/runs passes the filters\n" in said.stderr
    assert "Values of the runs: val_accuracy: 0.9000\n`dl runs` lists all." in said.stderr
    assert (said.exit_code, said.stdout) == (1, "")


# What it costs


def test_the_list_imports_nothing_heavy_and_no_parser(home: Path, three: list[Run]) -> None:
    for words in ("runs", "runs --help", "runs ls --help", "runs recipe=cnn", "runs best --help"):
        heavy, output = loaded(*words.split())
        assert output.strip()
        assert heavy == set()


def test_commands_options_and_runs_are_completed(three: list[Run]) -> None:
    def completed(line: str) -> list[str]:
        count = str(len(line.split(" ")) - 1)
        asked = {"_DL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": count}
        heavy, output = loaded(environ=asked)
        assert heavy == set()
        return [each.partition(",")[2] for each in output.splitlines() if each]

    assert completed("dl runs ") == list(MODULES)
    assert completed("dl runs --so") == ["--sort"]
    assert completed("dl runs --sort val_loss --cs") == ["--csv"]
    assert completed("dl runs rm --ch") == ["--checkpoints"]
    assert completed("dl runs show ")[0] == "202611231411-ensemble-m2"
