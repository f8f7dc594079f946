"""The remedies after a training are whole commands: typed as they stand, they run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.small_run import SMALL, only_run

from dlcli.evaluation.diagnosis import Diagnosis, Kind
from dlcli.evaluation.remedies import Options
from dlcli.runs.run import Run
from dlcli.training.photos import outcome

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]


def test_the_commands_keep_what_was_typed_and_change_what_they_say(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Options] = []

    def keeping(train: object, valid: object, history: object, options: Options) -> Diagnosis:
        kept.append(options)
        kind: Kind = "overfitting"
        return Diagnosis(kind, "Overfitting.", "Evidence.", (options.longer, options.slower))

    monkeypatch.setattr(outcome, "diagnose", keeping)
    typed = ("--dropout", "0.3", "--seed", "3", *SMALL)
    said = ok(dl("train", "finetune", "-d", tiny, "--schedule", "3e-3x2,1e-3", *typed))
    run, (options,) = only_run(home), kept
    assert f"- dl rerun {run.name} --epochs 6\n- dl rerun {run.name} --lr 0.0003\n" in said.stderr
    assert options.find_rate is not None
    find = options.find_rate.removeprefix("dl lr-find finetune ")
    assert set(re.findall(r"--[\w-]+ \S+", find)) == {
        "--dropout 0.3", "--seed 3", "--image-size 64", "--batch-size 4",
    }  # fmt: skip
    ok(dl(*shlex.split(options.with_set("dropout=0.65"))[1:]))
    newest = max(Run.all(home / "runs"), key=lambda each: str(each.status["started"]))
    values = newest.config["train"]["finetune"]
    assert (values["dropout"], values["schedule"]) == (0.65, "0.003x2,0.001x1")


def test_more_epochs_than_usual_are_explained(dl: Dl, tiny: Path) -> None:
    said = ok(dl("train", "finetune", "-d", tiny, "--early-stopping", "1", *SMALL)).stderr
    assert " epochs, not the usual 12: " in said
    assert "`--epochs N` sets another number." in said
    assert "not the usual" not in ok(dl("train", "finetune", "--epochs", "1", *SMALL)).stderr
