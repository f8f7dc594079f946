"""What the watchdog takes for use: a busy GPU, a copy, a setup, a job at work."""

from __future__ import annotations

import fcntl

import pytest
from support.watchdog_box import HOUR, Box, is_in_use, job

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("percents", [["97"], ["5"], ["0", "0", "60"], ["[N/A]", "60"]])
def test_a_busy_gpu_is_use(box: Box, percents: list[str]) -> None:
    box.gpus(*percents)
    assert is_in_use(box)


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ("echo 4", "GPU 4 %"),
        ("echo 0; exit 6", "GPU unknown"),
        ("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18", "unknown"),
        ("echo 'No devices were found'", "GPU unknown"),
        ("echo '[N/A]'", "GPU unknown"),
        ("echo 99999999999999999999", "GPU unknown"),
        ("echo 101", "GPU unknown"),
        ("echo -5", "GPU unknown"),
        ("echo 08", "GPU unknown"),
        ("echo '$(exit 1) * `id`'", "GPU unknown"),
        ("head -c 100000 /dev/zero", "GPU unknown"),
        ("sleep 60", "GPU unknown"),
        ("trap '' TERM; while :; do sleep 1; done", "GPU unknown"),
        (None, "no GPU"),
    ],
)
def test_a_gpu_that_is_idle_absent_or_out_of_its_mind_is_no_use(
    box: Box, answer: str | None, seen: str
) -> None:
    if answer is not None:
        box.fake("nvidia-smi", answer)
    assert not is_in_use(box)
    assert seen in box.seen()["sees"]
    box.look(after=60)
    assert box.stopped


@pytest.mark.parametrize(
    "process",
    [
        "rsync --server -logDtprze.iLsfxCIvu . data/dogs/",
        "/usr/lib/openssh/sftp-server",
        "sshd: ubuntu@internal-sftp",
    ],
)
def test_a_copy_under_way_is_use(box: Box, process: str) -> None:
    box.write("processes", f"sshd: ubuntu@notty\n{process}\n")
    assert is_in_use(box)
    assert box.seen()["sees"].endswith("no busy Jupyter kernel, copying")


def test_a_setup_under_way_is_use_and_one_that_ended_or_was_killed_is_not(box: Box) -> None:
    lock = box.home / ".dl/bootstrap.lock"
    lock.parent.mkdir()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_in_use(box)
        assert box.seen()["sees"].endswith(", being set up")
    assert not is_in_use(box)


def test_a_job_at_work_is_use(box: Box) -> None:
    box.now += 1000
    job(box)
    box.look()
    box.write("process-4711", f"Sl {100 + HOUR}\n")
    assert box.look(after=HOUR)["idle"] == "0"
    assert "1 job," in box.seen()["sees"]


def test_a_job_that_has_ended_is_no_use(box: Box) -> None:
    (job(box) / "rc").write_text("0\n")
    assert not is_in_use(box)


@pytest.mark.parametrize(
    "process", [None, "", "Z 4000", "nonsense", "Ss nonsense and more", "Ss 12"], ids=repr
)
def test_a_job_whose_process_is_gone_is_no_use(box: Box, process: str | None) -> None:
    """The last: its number has been given to a process that began after the job."""
    box.now += 5000
    job(box, age=4000, process=process)
    box.look()
    assert box.look(after=0)["sees"].startswith("no GPU, no job,")


@pytest.mark.parametrize("pid", ["", "-1", "1;reboot", "0", "99999999999999999", "\0\0", "08"])
def test_a_job_whose_number_is_nonsense_is_no_use(box: Box, pid: str) -> None:
    job(box, pid, process=None)
    assert not is_in_use(box)
