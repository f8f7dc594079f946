"""Ctrl-C between steps: never in one, never lost."""

from __future__ import annotations

import signal
import threading

import pytest

from dlcli.interrupts import between_steps


def ctrl_c() -> None:
    """Send this thread the signal, which is there when the call returns."""
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_waits_for_the_step_to_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), between_steps() as step:
        for number in range(3):
            if number == 1:
                ctrl_c()
            done.append(number)
            step()
    assert done == [0, 1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), between_steps():
        ctrl_c()
        done.append("first")
        ctrl_c()
        done.append("second")
    assert done == ["first"]


def test_ctrl_c_in_the_last_step_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), between_steps():
        ctrl_c()


def test_where_ctrl_c_is_ignored_it_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with between_steps() as step:
            ctrl_c()
            step()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_in_another_thread_nothing_is_touched() -> None:
    found = []

    def work() -> None:
        with between_steps() as step:
            step()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
