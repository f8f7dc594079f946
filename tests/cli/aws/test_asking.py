"""What `dl aws` asks at a terminal, and what each answer brings about."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, ok
from support.terminal import written_to

pytestmark = pytest.mark.forks


def answered(answers: str, *words: str) -> tuple[int, str]:
    """Type a command at a terminal, and the answers; its exit code and what it said."""
    child, terminal = pty.fork()
    if child == 0:
        code = 99
        try:
            import sys

            # pytest holds the true streams; these are the terminal's
            sys.stdin, sys.stdout, sys.stderr = (
                os.fdopen(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w"))
            )
            from dlcli.cli import main

            code = main(list(words))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    os.write(terminal, answers.encode())
    written = written_to(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, " ".join(written.split())


def test_at_a_terminal_a_type_that_is_gone_is_offered_its_successor(
    aws: Account, cats: Path
) -> None:
    code, said = answered("n\n", "aws", "up", "p2.xlarge")
    question = (
        "p2.xlarge (K80) is no longer offered. Nearest: g4dn.xlarge, T4 16 GB, $0.526/h. "
        "Start that? [y/N]"
    )
    assert question in said
    assert (code, aws.instances()) == (1, [])
    code, said = answered("y\nn\n", "aws", "up", "p2.xlarge")
    assert "$0.526/h compute" in said
    assert (code, aws.tagged()) == (1, {})
    code, said = answered("y\ny\n", "aws", "up", "p2.xlarge")
    assert code == 0, said
    assert [each["InstanceType"] for each in aws.instances()] == ["g4dn.xlarge"]


def test_what_ends_or_costs_something_asks_and_no_changes_nothing(
    dl: Dl, aws: Account, cats: Path
) -> None:
    code, said = answered("\n", "aws", "up")
    assert "Do this? [y/N]" in said
    assert "Nothing was done" in said
    assert (code, aws.tagged()) == (1, {})
    ok(dl("aws", "up", "-y"))
    for command in ("stop", "down"):
        code, said = answered("n\n", "aws", command)
        assert code == 1
        assert "[y/N]" in said
        assert aws.instances()[0]["State"]["Name"] == "running"
    code, said = answered("y\n", "aws", "down")
    assert code == 0
    assert aws.tagged() == {}
