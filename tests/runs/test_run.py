"""A run directory: its name, its state, its history, and what it says when it is damaged."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.children import killed_before_change

from dlcli.errors import DlError
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.process import utc_now
from dlcli.runs.listing import list_runs
from dlcli.runs.run import Run
from dlcli.runs.status import STATES

NOON = datetime(2026, 11, 23, 14, 9, 31, tzinfo=UTC)
ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


def make_run(folder: Path, **status: Any) -> Run:
    """A run whose `status.yaml` holds some values."""
    run = Run.create(folder, "dogs", "finetune", ())
    write_yaml(run.status_file, status)
    return run


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing for a while."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_a_run_is_named_by_its_time_in_utc_its_recipe_and_what_tells_it_apart(
    tmp_path: Path,
) -> None:
    run = Run.create(tmp_path / "runs", "dogs", "finetune", ("e3", "lr0.001", "t1"), NOON)
    assert run.path == tmp_path / "runs" / "dogs" / "202611231409-finetune-e3-lr0.001-t1"
    assert run.path.is_dir()
    assert (run.name, run.dataset) == ("202611231409-finetune-e3-lr0.001-t1", "dogs")


def test_a_second_run_in_the_same_minute_gets_a_number(tmp_path: Path) -> None:
    names = [Run.create(tmp_path, "dogs", "linear", ("e1",), NOON).name for _ in range(3)]
    first = "202611231409-linear-e1"
    assert names == [first, f"{first}-2", f"{first}-3"]


def test_processes_that_make_runs_at_once_never_share_one(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC;"
        "from dlcli.runs.run import Run; now = datetime(2026, 11, 23, tzinfo=UTC);"
        "[print(Run.create(Path(sys.argv[1]), 'dogs', 'linear', (), now).name) for _ in range(20)]"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    names = [name for process in processes for name in process.communicate()[0].split()]
    assert len(names) == len(set(names)) == 60


@pytest.mark.parametrize("state", STATES)
def test_a_state_that_was_written_is_read(tmp_path: Path, state: str) -> None:
    run = make_run(tmp_path, state=state, epoch=3, **_owner(os.getpid()))
    assert run.state == state
    assert run.status["epoch"] == 3


def test_a_run_at_work_is_running_until_its_process_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dlcli.runs.run import Run;"
        "Run(Path(sys.argv[1])).start('cnn', 3); print('started', flush=True); input()"
    )
    run = Run.create(tmp_path, "dogs", "linear", ())
    trainer = subprocess.Popen(
        [sys.executable, "-c", code, run.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert trainer.stdout is not None
    trainer.stdout.readline()
    assert run.state == "running"
    trainer.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, trainer.pid, os.WEXITED | os.WNOWAIT)
    assert run.state == "interrupted"  # not buried yet: a zombie trains nothing
    trainer.communicate()
    assert run.state == "interrupted"


def test_another_process_with_the_same_number_is_not_the_one_that_trained(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    run = Run.create(tmp_path, "dogs", "linear", ())
    run.start("cnn", 3)
    status = read_yaml(run.status_file)
    write_yaml(run.status_file, status | {"pid": sleeper.pid})  # as after a restart
    assert run.state == "interrupted"


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(5, "running"), (700, "interrupted"), (-700, "interrupted"), (None, "interrupted")],
    ids=["a sign of life", "silent", "a clock that is wrong", "nothing"],
)
def test_a_run_of_another_machine_is_at_work_while_it_gives_signs_of_life(
    tmp_path: Path, seconds: int | None, state: str
) -> None:
    run = make_run(tmp_path, state="running", pid=2**22 + 1, host="elsewhere")
    if seconds is not None:
        run.lock_file.touch()
        then = time.time() - seconds
        os.utime(run.lock_file, (then, then))
    assert run.state == state


@pytest.mark.parametrize("pid", [None, "many", -1, 0, 2**70, [1]])
def test_a_running_state_without_a_process_that_can_be_is_interrupted(
    tmp_path: Path, pid: Any
) -> None:
    assert make_run(tmp_path, state="running", pid=pid, host=socket.gethostname()).state == (
        "interrupted"
    )


@pytest.mark.parametrize(
    "text", ["", "state: [", "- a\n- list", "state: dancing", "epoch: 3", "\x00", "state: {a: 1}"]
)
def test_a_damaged_status_reads_as_failed_and_breaks_no_listing(tmp_path: Path, text: str) -> None:
    run, other = make_run(tmp_path), make_run(tmp_path, state="finished")
    run.status_file.write_text(text)
    assert [(r.path, r.state) for r in Run.all(tmp_path)] == [
        (run.path, "failed"),
        (other.path, "finished"),
    ]


@pytest.mark.parametrize("text", ["", "state: [", "- a list"])
def test_a_damaged_status_can_be_written_over(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path)
    run.status_file.write_text(text)
    run.update_status(state="finished")
    assert run.status == {"state": "finished"}
    run.status_file.write_text(text)
    run.start("cnn", 3)
    assert run.state == "running"


def test_a_change_of_the_status_keeps_the_rest(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running", epoch=1, **_owner(os.getpid()))
    run.update_status(epoch=2)
    assert run.status == {"state": "running", "epoch": 2, **_owner(os.getpid())}


def test_processes_that_change_the_status_at_once_lose_nothing_of_each_other(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from pathlib import Path; from dlcli.runs.run import Run;"
        "path, name = sys.argv[1:]; run = Run(Path(path));"
        "each = [{f'{name}{n}': n} for n in range(30)];"
        "[(run.update_status(**one), run.add_to_status('predicted', one)) for one in each]"
    )
    run = make_run(tmp_path, state="finished")
    processes = [subprocess.Popen([sys.executable, "-c", code, run.path, name]) for name in "abc"]
    assert [process.wait() for process in processes] == [0, 0, 0]
    status = run.status
    numbers = {f"{name}{n}": n for name in "abc" for n in range(30)}
    assert status.pop("predicted") == numbers
    assert status == {"state": "finished"} | numbers


def test_a_run_that_goes_on_keeps_the_time_when_it_began(tmp_path: Path) -> None:
    started = "2026-11-23T14:09:31.000000Z"
    run = make_run(tmp_path, state="failed", started=started, epoch=4, reason="no room")
    run.start("cnn", 3)
    status = run.status
    assert "reason" not in status
    assert (status["state"], status["pid"]) == ("running", os.getpid())
    assert (status["started"], status["epoch"]) == ("2026-11-23T14:09:31.000000Z", 4)


def test_only_folders_with_a_status_are_runs(tmp_path: Path) -> None:
    Run.create(tmp_path, "dogs", "linear", ())
    (tmp_path / "dogs" / "notes.txt").touch()
    (tmp_path / "stray.yaml").touch()
    assert Run.all(tmp_path) == []
    assert Run.all(tmp_path / "nowhere") == []


def test_runs_of_one_dataset_are_those_in_the_folder_of_its_very_name(tmp_path: Path) -> None:
    for dataset in ("dogs", "dogs-sample", "d*", "[dogs]"):
        run = Run.create(tmp_path, dataset, "linear", ())
        write_yaml(run.status_file, {"state": "finished"})
    for dataset in ("dogs", "d*", "[dogs]"):
        assert [run.dataset for run in Run.all(tmp_path, dataset)] == [dataset]
    assert len(Run.all(tmp_path)) == 4


NUMBERS = st.integers() | st.floats(allow_nan=False)
COLUMNS = st.text("abcdefgh_", min_size=1)


@ONE_FOLDER
@given(
    st.dictionaries(COLUMNS, st.just(None), min_size=1).flatmap(
        lambda names: st.lists(
            st.fixed_dictionaries(
                {name: NUMBERS | st.sampled_from(["head", "unfreeze"]) for name in names}
            )
        )
    )
)
def test_a_history_is_read_back_to_the_last_digit(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    run = Run(tmp_path)
    run.history_file.unlink(missing_ok=True)
    run.write_history(rows)
    assert run.history == rows


@pytest.mark.parametrize("text", ["", "epoch,loss\n1\n", 'epoch\n"1'])
def test_a_damaged_history_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    Run(tmp_path).history_file.write_text(text)
    with pytest.raises(DlError, match=r"history\.csv"):
        _ = Run(tmp_path).history


def test_class_names_come_back_as_text_in_their_order(tmp_path: Path) -> None:
    names = ["zebra", "no", "1", "1e-3", "null", "a: b", "日本", "\udcff", ""]
    write_yaml(Run(tmp_path).classes_file, names)
    assert Run(tmp_path).classes == tuple(names)


@pytest.mark.parametrize("text", [None, "", "cat: dog", "[]", "- ["])
def test_without_class_names_a_run_says_so(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        Run(tmp_path).classes_file.write_text(text)
    with pytest.raises(DlError, match=r"classes\.yaml"):
        _ = Run(tmp_path).classes


@pytest.mark.parametrize("text", [None, "", "seed: 1", "run: 3", "- ["])
def test_without_its_record_a_run_says_so(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        Run(tmp_path).config_file.write_text(text)
    with pytest.raises(DlError, match=r"config\.yaml"):
        _ = Run(tmp_path).record


def test_what_is_logged_stands_behind_its_time(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.log("dl train finetune -d 'a b'")
    run.log("skipped \udcff.jpg")
    first, second = run.log_file.read_bytes().splitlines()
    stamp, _, text = first.decode().partition(" ")
    assert datetime.fromisoformat(stamp).tzinfo == UTC
    assert text == "dl train finetune -d 'a b'"
    assert second.endswith(b" skipped \xff.jpg")


def test_times_sort_as_text() -> None:
    earlier = utc_now()
    time.sleep(0.001)
    assert earlier < utc_now()
    assert len(earlier) == len("2026-11-23T14:09:31.123456Z")


def _owner(pid: int) -> dict[str, Any]:
    return {"pid": pid, "host": socket.gethostname()}


@pytest.mark.forks
def test_a_run_that_is_made_whole_is_there_with_all_its_files_or_not_at_all(home: Path) -> None:
    folder = home / "runs" / "dogs"

    def make() -> None:
        with Run.created_whole(home / "runs", "dogs", "ensemble", ("m2",)) as (run, made):
            write_yaml(made.config_file, {"run": {}})
            write_yaml(made.classes_file, ["cat", "dog"])
            made.update_status(state="finished")
            assert not run.is_run

    for number in range(1, 200):
        killed = killed_before_change(number, make)
        rows = list_runs(home / "runs")
        assert [row.state for row in rows] == ["finished"] * len(rows)
        for path in folder.glob("2*"):
            assert (path / "status.yaml").is_file() or list(path.iterdir()) == []
        if not killed:
            break
        for row in rows:
            shutil.rmtree(row.run.path)
        for path in folder.glob("2*"):
            path.rmdir()
    assert number > 10
    assert len(list(folder.iterdir())) == 1, "what the killed ones left is gone"


def test_a_run_that_fails_while_it_is_made_leaves_nothing(home: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        Run.created_whole(home, "dogs", "ensemble", ()) as (_, a),
    ):
        write_yaml(a.config_file, {"run": {}})
        raise KeyboardInterrupt
    assert list((home / "dogs").iterdir()) == []
