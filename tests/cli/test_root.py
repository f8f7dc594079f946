"""The root of the command line: exit codes, errors as words, Ctrl-C, pipes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest
from support.command_result import Dl, ok
from support.terminal import at_terminal

from dlcli.cli import COMMANDS, GROUPS, root
from dlcli.cli.parts.help import Command
from dlcli.errors import DlError, ExitCode
from dlcli.version import __version__

DL = [sys.executable, "-m", "dlcli"]
Does = Callable[[Callable[[], object]], None]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Does:
    """Give `dl` one more command, `dl try`, that does something."""

    def install(action: Callable[[], object]) -> None:
        module = ModuleType("dlcli.cli.try")
        module.command = click.command("try", cls=Command)(action)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "dlcli.cli.try", module)
        monkeypatch.setitem(COMMANDS, "try", "Try something.")

    return install


def test_the_version_is_printed_by_either_door(dl: Dl) -> None:
    assert ok(dl("--version")).stdout == f"dl {__version__}\n"
    assert subprocess.check_output([*DL, "--version"], text=True) == f"dl {__version__}\n"


# What was mistyped


@pytest.mark.parametrize(
    ("words", "what", "nearest"),
    [
        ("trian", "`dl` has no command 'trian'", "`train`"),
        ("data splitt", "`dl data` has no command 'splitt'", "`split`"),
        ("config shw", "`dl config` has no command 'shw'", "`show`"),
        ("kaggle submit", "`dl kaggle` has no command 'submit'", "`dl submit`"),
        ("train fintune", "`dl train` has no recipe 'fintune'", "`finetune`"),
        ("recipes fintune", "There is no recipe 'fintune'", "`finetune`"),
        (
            "train finetune --bacbone x",
            "`dl train finetune` has no option `--bacbone`",
            "`--backbone`",
        ),
        ("train finetune --lrate 3", "has no option `--lrate`", "`--lr`"),
        ("submit --no-uplod", "has no option `--no-uplod`", "`--no-upload`"),
        ("config get sed", "No setting is called `sed`", "`seed`"),
    ],
)
def test_a_mistyped_word_is_a_usage_error_that_names_the_nearest(
    dl: Dl, words: str, what: str, nearest: str
) -> None:
    said = dl(*words.split())
    assert said.exit_code == 2
    assert what in said.stderr
    assert f"Did you mean {nearest}" in said.stderr
    assert said.stdout == ""
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("ls", "`dl runs ls`, `dl data ls`, `dl features ls` or `dl aws ls`"),
        ("list --json", "`dl runs ls`, `dl data ls`, `dl features ls` or `dl aws ls`"),
        ("show 2026-finetune", "`dl runs show` or `dl config show`"),
        ("split pets", "`dl data split`"),
        ("finetune --epochs 3", "`dl train finetune`"),
        ("delete x", "`dl runs rm` or `dl features rm`"),
        ("runs delete x", "`rm`"),
        ("runs list", "`ls`"),
        ("config list", "`show`"),
        ("config ls", "`show`"),
        ("upload", "`submit`"),
        ("help", "`dl --help`"),
        ("version", "`dl --version`"),
    ],
)
def test_a_command_of_a_group_typed_without_it_is_pointed_to(
    dl: Dl, words: str, meant: str
) -> None:
    said = dl(*words.split())
    assert said.exit_code == 2
    assert f"Did you mean {meant}?" in said.stderr


@pytest.mark.parametrize("words", ["rm dogscats", "data rm dogscats", "data delete dogscats"])
def test_who_would_remove_a_dataset_is_pointed_to_undo(dl: Dl, words: str) -> None:
    said = dl(*words.split())
    assert said.exit_code == 2
    assert "`dl data undo" in said.stderr
    assert "`dl runs rm" in said.stderr


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("train dogscats", "dl train finetune dogscats"),
        ("lr-find dogscats", "dl lr-find finetune dogscats"),
        ("train ~/data/dogscats", "dl train finetune dogscats"),
        ("runs dogscats", "dl runs -d dogscats"),
    ],
)
def test_a_dataset_in_place_of_a_command_is_told_where_it_belongs(
    dl: Dl, datasets: Path, words: str, right: str
) -> None:
    said = dl(*words.split())
    assert said.exit_code == 2
    assert f"{words.split()[1]} is a dataset: `{right}`." in said.stderr


def test_every_group_is_searched_for_a_word_but_the_second_that_has_the_recipes() -> None:
    context = click.Context(root)
    groups = [name for name in COMMANDS if isinstance(root.get_command(context, name), click.Group)]
    assert sorted(groups) == sorted([*GROUPS, "lr-find"])


def test_a_mistyped_backbone_is_a_usage_error_that_names_the_nearest(dl: Dl, home: Path) -> None:
    from support.pictures import make_dataset

    make_dataset(home / "data" / "pets", train=2, valid=1, test=0)
    said = dl("features", "-d", "pets", "--backbone", "efficientnet-lte0")
    assert said.exit_code == 2
    assert "Did you mean `efficientnet-lite0`" in said.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--seed x", "`--seed` can't be 'x': expected a whole number, at least 0"),
        ("--batch-size 0", "`--batch-size` can't be '0': expected a whole number, at least 1"),
        ("--engine gpu", "`--engine` can't be 'gpu': expected one of auto, openvino, keras"),
        ("--schedule fast", "'fast' is not RATExEPOCHS, such as 1e-3x2"),
        ("--seed", "Error: `--seed` requires an argument."),
        (". extra", "unexpected extra argument"),
        ("--learning-rate 1e-4", "Did you mean `--lr`?"),
        ("--lr fast", "`--lr` can't be 'fast': expected a number above 0"),
        ("--lr 0", "`--lr` can't be '0': expected a number above 0"),
        ("--lr nan", "'nanx8' needs a rate above 0"),
        ("--epochs 0", "`--epochs` can't be '0': expected a whole number from 1 to 1,000,000"),
        ("--epochs 5 --schedule 1e-3", "`--schedule` and `--epochs` exclude each other"),
        ("--lr 1e-4 --schedule 1e-3", "`--schedule` and `--lr` exclude each other"),
    ],
)
def test_a_wrong_value_on_the_command_line_is_a_usage_error(
    dl: Dl, words: str, message: str
) -> None:
    said = dl("train", "finetune", *words.split())
    assert said.exit_code == 2
    assert message in said.stderr


def test_an_unknown_or_missing_format_names_those_there_are(dl: Dl) -> None:
    for words in (["--format", "x"], []):
        assert "openvino, litert (or tflite)" in dl("export", *words).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("completion", "`dl completion` needs SHELL: one of bash, zsh, fish\n`dl completion --"),
        ("export", "`dl export` needs `--format`: one of onnx, openvino, litert (or tflite), tf"),
        ("evaluate --all=3", "`--all` does not take a value."),
        ("runs --json --csv", "Use `--json` or `--csv`, not both\n`dl runs ls --help` describes"),
        ("aws put no x", "WHAT can't be 'no': expected one of project, dataset, runs, features"),
    ],
)
def test_every_usage_error_is_what_why_and_what_to_type(dl: Dl, words: str, said: str) -> None:
    result = dl(*words.split())
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {said}")
    assert "\t" not in result.stderr


def test_a_usage_error_breaks_no_word_on_a_terminal() -> None:
    code = "from dlcli.cli import main; main(['submit', '--clip', 'abc'])"
    said = at_terminal("-c", code)
    assert "expected a number such as 0.05, auto or none" in " ".join(said.split())
    assert max(map(len, said.splitlines())) <= 80


def test_an_option_is_not_taken_for_another_by_its_dashes(dl: Dl) -> None:
    said = dl("train", "--lr", "3")
    assert said.exit_code == 2
    assert said.stderr.startswith("Error: `dl train` has no option `--lr`\n`dl train --help`")
    assert "Did you mean `--help`?" in dl("train", "--hlep").stderr


# What goes wrong


def test_an_error_is_what_why_and_how_to_mend_it_without_a_traceback(dl: Dl, command: Does) -> None:
    def fail() -> None:
        raise DlError("No room for the cat", why="the dog is in", hint="Let the dog out.")

    command(fail)
    said = dl("try")
    assert said.exit_code == 1
    assert said.stderr == "Error: No room for the cat: the dog is in\nLet the dog out.\n"
    assert said.stdout == ""


def test_debug_adds_the_traceback_as_option_of_the_root_or_in_the_environment(
    dl: Dl, home: Path
) -> None:
    for words in (["--debug", "recipes", "x"], ["recipes", "x", "--debug"]):
        said = dl(*words)
        assert said.exit_code == 2
        assert "Traceback (most recent call last)" in said.stderr
        assert said.stderr.endswith("`dl recipes` lists them all.\n")
    debug = {**os.environ, "DL_DEBUG": "1"}
    failed = subprocess.run([*DL, "recipes", "x"], env=debug, capture_output=True, text=True)
    assert failed.returncode == 2
    assert "Traceback (most recent call last)" in failed.stderr


def test_control_characters_of_a_name_do_not_reach_the_terminal(dl: Dl) -> None:
    said = dl("evaluate", "\x1b[31mrun\x07")
    assert said.exit_code == 1
    assert "\x1b" not in said.stderr
    assert "\\x1b[31mrun\\x07" in said.stderr


def test_an_error_that_is_a_bug_shows_where_it_is(dl: Dl, command: Does) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    command(fail)
    with pytest.raises(ZeroDivisionError):
        dl("try")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file or directory", "/x"), "Can't use /x: No such file"),
        (PermissionError(13, "Permission denied", "/x"), "No permission to use /x: Permission den"),
        (OSError(30, "Read-only file system", "/x"), "No permission to use /x: Read-only file s"),
        (OSError(28, "No space left on device"), "No room to write: No space left on device"),
        (OSError("odd"), "Can't use a file: odd"),
    ],
)
def test_an_error_of_the_operating_system_is_a_sentence(
    dl: Dl, command: Does, error: OSError, words: str
) -> None:
    def fail() -> None:
        raise error

    command(fail)
    said = dl("try")
    assert said.exit_code == 1
    assert said.stderr.startswith(f"Error: {words}")
    assert said.stderr.count("\n") == 2  # and how to mend it


def test_a_full_disk_is_a_sentence(home: Path) -> None:
    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    failed = subprocess.run(
        [*DL, "config", "set", "seed", "1"],
        capture_output=True,
        text=True,
        preexec_fn=fill_the_disk,
    )
    assert failed.returncode == 1
    assert "No room to write" in failed.stderr
    assert "Free some space" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (home / ".config" / "dl" / "config.yaml").exists()


def test_a_current_folder_that_is_gone_is_a_sentence(dl: Dl, home: Path) -> None:
    (home / "gone").mkdir()
    os.chdir(home / "gone")
    (home / "gone").rmdir()
    said = dl("config", "show")
    os.chdir(home)
    assert said.exit_code == 1
    assert "The current folder was moved or removed" in said.stderr


# Ctrl-C, questions, pipes


def test_ctrl_c_ends_with_130_and_one_word() -> None:
    # in a process of its own: beside a backend's threads a signal may end this one
    code = (
        "import os, signal, sys, time, click, dlcli.cli as cli\n"
        "def wait():\n os.kill(os.getpid(), signal.SIGINT)\n time.sleep(10)\n"
        "cli.root.add_command(click.command('try')(wait))\n"
        "cli.root.get_command = lambda ctx, name: cli.root.commands.get(name)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(cli.main(['try']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.strip() == "Interrupted."


def test_ctrl_c_at_a_question_ends_with_130(
    dl: Dl, command: Does, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        def readline(self, *_: object) -> str:
            raise KeyboardInterrupt

    command(lambda: click.confirm("Really?", abort=True))
    monkeypatch.setattr(sys, "stdin", Terminal())
    said = dl("try")
    assert said.exit_code == 130
    assert said.stderr.strip().endswith("Interrupted.")


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_no_to_a_question_does_nothing_and_says_so(
    command: Does, dl: Dl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    command(lambda: click.confirm("Really?", abort=True))
    (tmp_path / "answer").write_text(answer)
    with (tmp_path / "answer").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        said = dl("try")
    assert said.exit_code == 1
    assert said.stderr.strip().endswith("Nothing was done.")


def test_a_reader_that_has_enough_is_no_error_worth_a_word() -> None:
    writer = subprocess.Popen(
        [*DL, "config", "show"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.close()
    assert writer.stderr.read() == ""
    writer.wait()
    writer.stderr.close()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("recipes", 0), ("data ls nosuch", 1)])
def test_a_closed_stream_is_as_the_null_device(closed: str, words: str, code: int) -> None:
    def typed(redirected: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", f'exec "$@" {words} {redirected}', "sh", *DL]
        return subprocess.run(command, capture_output=True, text=True)

    said, wanted = typed(closed), typed(closed.replace("&-", "/dev/null"))
    assert said.returncode == code
    assert (said.stdout, said.stderr) == (wanted.stdout, wanted.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_messages_that_cannot_be_written_stop_no_command() -> None:
    command = ["sh", "-c", 'exec "$@" data ls 2>/dev/full', "sh", *DL]
    assert subprocess.run(command).returncode == 0


def test_names_that_the_terminals_encoding_lacks_are_shown_as_escapes(home: Path) -> None:
    (home / "data" / "日本" / "train" / "cat").mkdir(parents=True)
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    listed = subprocess.run([*DL, "data", "ls"], env=latin, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    assert "\\u65e5\\u672c" in listed.stdout


def test_exit_codes_are_the_documented_ones() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 2, 130]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            ("--debug", "train", "finetune"),
            "Train on smaller images or batches, `--image-size N` or `--batch-size N`.",
        ),
        (("resume", "1"), "Train on smaller batches, `--batch-size N`."),
        (("features",), "Compute features of smaller images, `--image-size N`."),
        (
            ("data", "ls", "."),
            "Stop other programs, or raise the limit of memory or processes, `ulimit -a`.",
        ),
    ],
)
def test_too_little_memory_is_said_in_words_with_what_the_command_can_do(
    dl: Dl, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], hint: str
) -> None:
    def demand(*arguments: object, **named: object) -> None:
        raise MemoryError

    monkeypatch.setattr("dlcli.cli.root.main", demand)
    refused = dl(*words)
    assert refused.exit_code == 1
    assert refused.stderr.endswith(f"Error: Out of memory\n{hint}\n")


def test_a_backend_without_memory_is_said_in_the_same_words(
    dl: Dl, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ResourceExhaustedError(Exception):
        """As TensorFlow calls it."""

    def demand(*arguments: object) -> None:
        raise ResourceExhaustedError("OOM when allocating tensor with shape[768,1000000000]")

    monkeypatch.setattr("dlcli.data.photos.photos.open_photos", demand)
    refused = dl("data", "ls", ".")
    assert refused.exit_code == 1
    assert "Error: Out of memory\n" in refused.stderr


def test_a_system_without_room_for_a_thread_is_said_in_words(
    dl: Dl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def demand(*arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("dlcli.data.photos.photos.open_photos", demand)
    refused = dl("data", "ls", ".")
    assert refused.exit_code == 1
    assert refused.stderr.endswith(
        "Error: The system can't start another thread\n"
        "Stop other programs, or raise the limit of memory or processes, `ulimit -a`.\n"
    )
