"""Which dataset a command takes, and the words for why."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.small_folders import make

from dlcli import process
from dlcli.config import Config, load_config
from dlcli.data.choice import (
    FORGOTTEN_SECONDS,
    Choice,
    again,
    choose_dataset,
    find_dataset,
    last_named,
    with_named,
)
from dlcli.errors import DlError
from dlcli.files.paths import state_home
from dlcli.process import machine_id, session_ended, session_id


def config(**environ: str) -> Config:
    """The settings where the environment says this."""
    return load_config(environ=environ)


# Names the datasets that are typed, one command each, then says what a further command takes.
OTHER_TERMINAL = """
import sys
from dlcli.config import load_config
from dlcli.data.choice import again, choose_dataset, with_named
for name in sys.argv[1:]:
    choose_dataset(with_named(load_config(), name))
taken = choose_dataset(load_config())
print(str(taken) + again(taken.root))
"""


def other_terminal(*names: str) -> subprocess.Popen[str]:
    """Name datasets in a session of its own, one command each."""
    command = [sys.executable, "-c", OTHER_TERMINAL, *names]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)


def printed(terminal: subprocess.Popen[str]) -> str:
    """What a session printed, after its end."""
    out, _ = terminal.communicate(timeout=60)
    assert terminal.returncode == 0
    return out


def test_each_terminal_has_its_own_last_named_dataset(datasets: Path) -> None:
    choose_dataset(with_named(config(), "fish"))
    # at the same time, so that one could lose what the other wrote
    others = [other_terminal(name) for name in ("dogscats", "fish", "dogscats")]
    assert [printed(each) for each in others] == [
        "Dataset ~/data/dogscats (last named)\n",
        "Dataset ~/data/fish (last named)\n",
        "Dataset ~/data/dogscats (last named)\n",
    ]
    assert choose_dataset(config()) == Choice(datasets / "fish", "last named")


def test_a_terminal_that_named_none_takes_and_names_the_one_of_another(datasets: Path) -> None:
    choose_dataset(with_named(config(), "fish"))
    # the next command names it, because the other terminal may name another meanwhile
    fallback = "Dataset ~/data/fish (last named in another terminal) -d ~/data/fish\n"
    assert printed(other_terminal()) == fallback


def test_what_0_1_0_remembered_is_taken(datasets: Path) -> None:
    state_home().mkdir(parents=True)
    (state_home() / "dataset").write_text(f"{datasets / 'fish'}\n")
    assert choose_dataset(config()).root == datasets / "fish"
    choose_dataset(with_named(config(), "dogscats"))
    assert (state_home() / "dataset").read_text() == f"{datasets / 'dogscats'}\n"


def test_a_dataset_of_another_terminal_that_is_gone_is_an_error(datasets: Path) -> None:
    printed(other_terminal("fish"))
    (datasets / "fish").rename(datasets / "fishes")
    with pytest.raises(DlError, match="the dataset last named in another terminal, no longer"):
        choose_dataset(config())


def test_sessions_that_have_ended_are_forgotten(datasets: Path) -> None:
    printed(other_terminal("dogscats"))
    sessions = state_home() / "datasets"
    (ended,) = sessions.iterdir()
    recent, old = sessions / "0123abcd-12-345", sessions / "0123abcd-12-678"
    for far in (recent, old):
        far.write_text("/far/away\n")
    long_ago = time.time() - FORGOTTEN_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    (sessions / "notes").touch()  # not ours
    assert session_ended(ended.name)
    choose_dataset(with_named(config(), "fish"))
    left = {each.name for each in sessions.iterdir()}
    assert left == {"0123abcd-12-345", "notes", session_id()}


def test_without_proc_the_terminal_tells_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_stat", lambda pid: [])  # as on a Mac
    monkeypatch.setattr(os, "getsid", lambda pid: os.getpid())
    monkeypatch.setattr(process, "_terminal", lambda: "ttys003")
    name = f"{machine_id()}-{os.getpid()}-ttys003"
    assert session_id() == name
    assert not session_ended(name)


def test_a_session_whose_leader_has_ended_keeps_what_was_last_named(datasets: Path) -> None:
    named = [sys.executable, "-c", OTHER_TERMINAL, "fish"]
    unnamed = named[:-1]
    both = f"sleep 1; {shlex.join(named)}; {shlex.join(unnamed)}"
    # the leader starts a shell that outlives it
    leader = ["bash", "-c", f"({both}) &"]
    said = subprocess.run(leader, start_new_session=True, capture_output=True, text=True).stdout
    assert said == 2 * "Dataset ~/data/fish (last named)\n"


def test_a_leader_outside_of_the_container_is_replaced_by_the_eldest_within(
    datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell, own = os.getppid() or 1, os.getpid()
    processes = {
        own: ["R", str(shell), "0", "0", *15 * ["0"], "1200"],
        shell: ["S", "0", "0", "0", *15 * ["0"], "1100"],  # its parent has no number here
    }
    monkeypatch.setattr(os, "getsid", lambda pid: 0)
    monkeypatch.setattr(process, "_stat", lambda pid: processes.get(pid, []))
    monkeypatch.setattr(process, "exists", processes.__contains__)
    assert session_id() == f"{machine_id()}-{shell}-1100"
    choose_dataset(with_named(config(), "fish"))
    assert choose_dataset(config()).why == "last named"


def test_without_proc_a_session_whose_leader_has_ended_has_no_name(
    datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_stat", lambda pid: [])
    monkeypatch.setattr(process, "exists", lambda pid: False)
    assert session_id() is None
    choose_dataset(with_named(config(), "fish"))
    assert choose_dataset(config()).why == "last named in another terminal"


def test_a_dataset_is_named_again_only_where_another_would_be_taken(
    datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_dataset(with_named(config(), "fish"))
    assert again(datasets / "fish") == ""
    assert again(datasets / "dogscats") == " -d ~/data/dogscats"
    monkeypatch.chdir(datasets / "dogscats")
    assert again(datasets / "fish", flag="") == " ~/data/fish"
    assert again(datasets / "dogscats") == ""
    assert again(None) == ""


def test_the_named_dataset_is_taken_and_remembered_for_the_next_command(datasets: Path) -> None:
    choice = choose_dataset(with_named(config(), "fish"))
    assert (choice.root, choice.why) == (datasets / "fish", "named")
    assert str(choice) == "Dataset ~/data/fish (named)"
    later = choose_dataset(config())
    assert (later.root, later.why) == (datasets / "fish", "last named")


def test_a_dataset_named_by_the_option_is_remembered_too(datasets: Path) -> None:
    choice = choose_dataset(config().with_flags({"dataset": "fish"}))
    assert (choice.root, choice.why) == (datasets / "fish", "named")
    assert choose_dataset(config()).root == datasets / "fish"


@pytest.mark.parametrize("below", ["", "train", "train/cat"])
def test_a_named_folder_without_images_is_not_remembered(datasets: Path, below: str) -> None:
    (datasets / "empty" / below).mkdir(parents=True)
    choose_dataset(with_named(config(), "fish"))
    assert choose_dataset(with_named(config(), "empty")).root == datasets / "empty"
    assert last_named() == Choice(datasets / "fish", "last named")


def test_a_choice_that_does_not_last_is_not_remembered(datasets: Path) -> None:
    choose_dataset(with_named(config(), "fish"))
    choice = choose_dataset(with_named(config(), "dogscats"), lasting=False)
    assert (choice.root, choice.why) == (datasets / "dogscats", "named")
    assert last_named() == Choice(datasets / "fish", "last named")


def test_the_setting_goes_before_the_current_folder_and_is_not_remembered(
    datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(datasets / "dogscats")
    choice = choose_dataset(config(DL_DATASET="fish"))
    assert (choice.root, choice.why) == (datasets / "fish", "by DL_DATASET")
    assert last_named() is None


def test_what_is_named_goes_before_the_setting(datasets: Path) -> None:
    assert (
        choose_dataset(with_named(config(DL_DATASET="fish"), "dogscats")).root
        == datasets / "dogscats"
    )


def test_a_setting_in_the_projects_file_says_so(datasets: Path, home: Path) -> None:
    (home / "dl.yaml").write_text("dataset: fish\n")
    assert choose_dataset(config()).why == "by `dataset` in ~/dl.yaml"


@pytest.mark.parametrize("below", ["", "train", "train/cat"])
def test_the_dataset_of_the_current_folder_goes_before_the_last_named(
    datasets: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    choose_dataset(with_named(config(), "fish"))
    monkeypatch.chdir(datasets / "dogscats" / below)
    choice = choose_dataset(config())
    assert (choice.root, choice.why) == (datasets / "dogscats", "of the current folder")
    assert last_named() == Choice(datasets / "fish", "last named")


def test_a_folder_with_a_train_folder_is_a_dataset_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pictures" / "train" / "cat").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "pictures" / "train" / "cat")
    assert choose_dataset(config()).root == tmp_path / "pictures"


def test_a_train_folder_beside_all_others_makes_no_dataset_of_the_whole_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_dir = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path: path == Path("/train") or is_dir(path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DlError, match="No dataset is named"):
        choose_dataset(config())


def test_a_class_that_is_called_train_makes_no_dataset_of_its_parent(
    datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (datasets / "dogscats" / "train" / "train").mkdir()
    monkeypatch.chdir(datasets / "dogscats" / "train")
    assert choose_dataset(config()).root == datasets / "dogscats"


def test_a_data_folder_that_is_a_link_holds_the_current_dataset_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk" / "flat").mkdir(parents=True)
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(tmp_path / "data" / "flat")
    assert choose_dataset(config(DL_DATA_DIR=str(tmp_path / "data"))).root == (
        tmp_path / "data" / "flat"
    )


def test_the_data_folder_itself_is_no_dataset(
    datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(datasets)
    with pytest.raises(DlError, match="No dataset is named"):
        choose_dataset(config())


def test_without_any_of_these_the_error_says_how_to_name_one(datasets: Path) -> None:
    with pytest.raises(DlError) as caught:
        choose_dataset(config())
    assert "`-d DATASET`" in str(caught.value)
    assert "`dl data ls`" in str(caught.value)


def test_where_there_is_no_dataset_the_error_says_how_to_make_one() -> None:
    with pytest.raises(DlError) as caught:
        choose_dataset(config())
    assert "`dl data organize FOLDER`" in str(caught.value)
    assert "`dl data ls`" not in str(caught.value)


def test_a_last_named_dataset_that_is_gone_is_an_error(datasets: Path) -> None:
    choose_dataset(with_named(config(), "fish"))
    (datasets / "fish").rename(datasets / "fishes")
    with pytest.raises(DlError, match="~/data/fish, the dataset last named, no longer") as error:
        choose_dataset(config())
    assert "`-d DATASET`" in error.value.hint


def test_instead_of_a_sample_that_is_gone_the_whole_dataset_is_named(datasets: Path) -> None:
    sample = make(datasets / "fish-sample", "train/cod/1.jpg")
    choose_dataset(with_named(config(), "fish-sample"))
    shutil.rmtree(sample)
    with pytest.raises(DlError, match="no longer exists") as error:
        choose_dataset(config())
    assert "`-d fish`" in error.value.hint


def test_a_dataset_whose_name_has_odd_bytes_is_remembered(datasets: Path) -> None:
    odd = datasets / "a b\n\udcff'"
    (odd / "train" / "cat").mkdir(parents=True)
    (odd / "train" / "cat" / "1.jpg").touch()
    choose_dataset(with_named(config(), str(odd)))
    assert choose_dataset(config()).root == odd


def test_a_state_folder_that_cannot_be_written_costs_only_the_memory(
    datasets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state_home().parent.mkdir(parents=True)
    state_home().touch()  # a file where a folder should be
    assert choose_dataset(with_named(config(), "fish")).root == datasets / "fish"
    assert "can't remember" in capsys.readouterr().err


def test_a_name_is_looked_for_in_the_data_folder_and_then_here(
    datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fish").mkdir()
    (tmp_path / "birds").mkdir()
    assert find_dataset("fish", datasets) == datasets / "fish"
    assert find_dataset("birds", datasets) == tmp_path / "birds"
    assert find_dataset("./fish", datasets) == tmp_path / "fish"
    assert find_dataset(".", datasets) == tmp_path
    assert find_dataset("~/data/../data/fish/", datasets) == datasets / "fish"


def test_an_unknown_dataset_names_the_nearest(datasets: Path) -> None:
    with pytest.raises(DlError) as caught:
        find_dataset("dogcats", datasets)
    assert str(caught.value).startswith("No such dataset: dogcats: no folder ~/data/dogcats\n")
    assert "Did you mean `dogscats`" in str(caught.value)


@pytest.mark.parametrize("named", ["~nobody-of-that-name/fish", "fi\0sh", ""])
def test_a_name_that_can_be_no_folder_is_no_dataset(datasets: Path, named: str) -> None:
    with pytest.raises(DlError, match="No such dataset"):
        find_dataset(named, datasets)


def test_a_file_is_no_dataset(datasets: Path) -> None:
    (datasets / "dogs.zip").touch()
    for named in ("dogs.zip", "~/data/dogs.zip"):
        with pytest.raises(DlError, match=r"dogs\.zip is a file: a dataset is a folder"):
            find_dataset(named, datasets)
