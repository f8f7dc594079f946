"""Ctrl-C between steps: never in one, never lost. Each in a process of its own, as it takes one."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

BEGIN = """
import signal, threading
from dlcli.process import between_steps

def ctrl_c():
    signal.raise_signal(signal.SIGINT)
"""


def said_by(script: str) -> list[str]:
    """The lines that a process prints."""
    whole = BEGIN + dedent(script)
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_ctrl_c_waits_for_the_step_to_end() -> None:
    assert said_by("""
        try:
            with between_steps() as step:
                for number in range(3):
                    if number == 1:
                        ctrl_c()
                    print(number)
                    step()
        except KeyboardInterrupt:
            print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    """) == ["0", "1", "interrupted True"]


def test_a_second_ctrl_c_does_not_wait() -> None:
    assert said_by("""
        try:
            with between_steps():
                ctrl_c()
                print("first")
                ctrl_c()
                print("second")
        except KeyboardInterrupt:
            print("interrupted")
    """) == ["first", "interrupted"]


def test_ctrl_c_in_the_last_step_is_not_lost() -> None:
    assert said_by("""
        try:
            with between_steps():
                ctrl_c()
                print("done")
        except KeyboardInterrupt:
            print("interrupted")
    """) == ["done", "interrupted"]


def test_where_ctrl_c_is_ignored_it_stays_so() -> None:
    assert said_by("""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with between_steps() as step:
            ctrl_c()
            step()
        print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
    """) == ["True"]


def test_in_another_thread_nothing_is_touched() -> None:
    assert said_by("""
        def work():
            with between_steps() as step:
                step()
                print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    """) == ["True"]
