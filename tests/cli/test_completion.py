"""`dl completion`, and what a real shell makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command_result import Dl, ok

from dlcli.files.formats import write_yaml


@pytest.fixture
def complete(dl: Dl, home: Path, require_tool: Callable[[str], str]) -> Callable[[str], list[str]]:
    """Let bash, with the script that `dl completion bash` prints, complete a command line."""
    bash = require_tool("bash")
    script = home / "dl.bash"
    script.write_text(ok(dl("completion", "bash")).stdout)

    def ask(line: str) -> list[str]:
        words = line.split(" ")
        quoted = " ".join(f"'{word}'" for word in words)
        asked = (
            # stands for readline, which `complete` and `compopt` want
            "complete() { :; }; compopt() { :; }\n"
            f"source {script}\n"
            f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}\n"
            "_dl_completion dl\n"
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environ = {**os.environ, "PATH": path}
        done = subprocess.run([bash, "-c", asked], env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [word for word in done.stdout.splitlines() if word]

    return ask


def test_bash_completes_commands_recipes_options_and_settings(
    complete: Callable[[str], list[str]],
) -> None:
    assert complete("dl ev") == ["evaluate"]
    assert complete("dl data s") == ["split", "sample"]
    assert complete("dl train f") == ["fc", "finetune"]
    assert complete("dl train finetune --unf") == ["--unfreeze", "--unfreeze-schedule"]
    assert complete("dl train finetune --engine o") == ["openvino"]
    assert complete("dl config get kaggle.") == [
        "kaggle.competition",
        "kaggle.positive",
        "kaggle.metric",
    ]
    assert complete("dl recipes l") == ["linear"]


def test_bash_completes_datasets_and_runs(complete: Callable[[str], list[str]], home: Path) -> None:
    for name in ("dogs", "dogs-sample", ".hidden"):
        (home / "data" / name).mkdir(parents=True)
    for name in ("202611231409-linear", "202611231410-finetune", "no-run"):
        (home / "runs" / "dogs" / name).mkdir(parents=True)
        if name != "no-run":
            write_yaml(home / "runs" / "dogs" / name / "status.yaml", {"state": "finished"})
    (home / "data" / "My pets & co").mkdir()
    assert complete("dl data split ") == [r"My\ pets\ \&\ co", "dogs", "dogs-sample"]
    assert complete("dl features -d dogs-") == ["dogs-sample"]
    assert complete("dl features dogs-") == ["dogs-sample"]
    assert complete("dl features l") == ["ls"]
    assert complete("dl evaluate ") == ["202611231410-finetune", "202611231409-linear"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_and_its_place_is_said_apart(dl: Dl, shell: str) -> None:
    said = ok(dl("completion", shell))
    assert "_DL_COMPLETE" in said.stdout
    assert f"dl completion {shell} > " in said.stderr
    assert "To save it" not in said.stdout


def test_an_unknown_shell_is_a_usage_error(dl: Dl) -> None:
    said = dl("completion", "tcsh")
    assert said.exit_code == 2
    assert said.stderr == "Error: SHELL can't be 'tcsh': expected one of bash, zsh, fish\n"
