"""Which Jupyter kernels the watchdog takes for use, and whom it tells their token."""

from __future__ import annotations

import pytest
from support.jupyter_server import Jupyter
from support.watchdog_box import BOOTED, Box, is_in_use


def test_a_busy_jupyter_kernel_is_use(box: Box, jupyter: Jupyter) -> None:
    jupyter.kernels("idle", "busy", "busy")
    assert is_in_use(box)
    assert box.seen()["sees"].endswith("2 busy Jupyter kernels")


def test_kernels_with_nothing_to_do_are_no_use(box: Box, jupyter: Jupyter) -> None:
    jupyter.kernels("idle", "starting", active=BOOTED - 100)
    assert not is_in_use(box)


def test_who_runs_a_short_cell_now_and_then_is_at_work(box: Box, jupyter: Jupyter) -> None:
    box.look()
    for _ in range(4):
        jupyter.kernels("idle", active=box.now + 880)
        assert box.look(after=900)["idle"] == "20"
    assert not box.stopped


@pytest.mark.parametrize("answer", ["", "null", "<html>", "[{]}", '"execution_state"', "busy"])
def test_a_jupyter_that_answers_nonsense_is_no_use(box: Box, jupyter: Jupyter, answer: str) -> None:
    jupyter.answer = answer
    assert not is_in_use(box)


def test_a_jupyter_that_has_gone_or_wants_a_password_is_no_use(box: Box, jupyter: Jupyter) -> None:
    jupyter.kernels("busy")
    jupyter.token = "another"
    assert not is_in_use(box)
    runtime = box.home / ".local/share/jupyter/runtime"
    (runtime / "jpserver-2.json").write_text('{\n  "url": "http://127.0.0.1:1/"\n}')
    (runtime / "jpserver-3.json").write_text("{")
    assert box.look()["idle"] == "3600"


def test_the_token_of_jupyter_is_on_no_command_line(box: Box, jupyter: Jupyter) -> None:
    box.fake("curl", 'echo "$*" >>"$FAKE/curls"')
    box.look()
    assert "api/kernels" in (box.folder / "curls").read_text()
    assert jupyter.token not in (box.folder / "curls").read_text()
