"""The `aws:` block as files, the environment and flags give it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.project import make_project

from dlcli.config import load_config


def test_every_type_is_read_from_a_file(home: Path) -> None:
    make_project(
        home,
        "aws:\n  idle: off\n  ingress: [203.0.113.7, 2001:db8::/64]\n  exclude: ['*.zip', big/]\n"
        "  ssh_key: key\n  max_price: 1.5\n  spot: yes\n",
    )
    aws = load_config().settings().aws
    assert aws.idle is None  # YAML reads `off` as a truth value
    assert aws.ingress == ("203.0.113.7/32", "2001:db8::/64")
    assert aws.exclude == ("*.zip", "big/")
    assert (aws.ssh_key, aws.max_price, aws.spot) == (home / "key", 1.5, True)


def test_the_environment_says_it_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DL_AWS__REGION", "eu-west-1")
    monkeypatch.setenv("DL_AWS__IDLE", "1h30m")
    aws = load_config().settings().aws
    assert (aws.region, aws.idle) == ("eu-west-1", timedelta(minutes=90))


def test_it_is_shown_as_it_is_typed(dl: Dl, home: Path) -> None:
    ok(dl("config", "set", "aws.idle", "45m"))
    ok(dl("config", "set", "aws.ingress", "203.0.113.7"))
    assert "45m" in ok(dl("config", "get", "aws.idle")).stdout
    assert "203.0.113.7/32" in ok(dl("config", "get", "aws.ingress")).stdout


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("aws.idle", "30", "needs a unit"),
        ("aws.ingress", "0.0.0.0/0", "the whole internet"),
        ("aws.ingress", "0.0.0.0/1,128.0.0.0/1", "the whole internet"),
        ("aws.ingress", "203.0.113.7,64.0.0.0/4", "admits too many addresses"),
        ("aws.ingress", "10.0.0.0/8,11.0.0.0/8", "10.0.0.0/7 admits too many addresses"),
        ("aws.ingress", "2000::/3", "2000::/3 admits too many addresses"),
        ("aws.ingress", "here", "does not appear to be"),
        ("aws.max_hours", "0", "at least 1"),
        ("aws.disk", "4", "at least 8"),
        ("aws.max_price", "0", "at least"),
    ],
)
def test_what_can_not_be_is_refused(dl: Dl, home: Path, key: str, value: str, said: str) -> None:
    refused(dl("config", "set", key, value), said, exit_code=2)
