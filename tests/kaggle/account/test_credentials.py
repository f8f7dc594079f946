"""Credentials for Kaggle: found where its own client finds them, and shown nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.kaggle_package import forget_kaggle
from support.kaggle_server import KEY, TOKEN, USER, KaggleServer
from support.two_pictures import SLUG

from dlcli.errors import DlError
from dlcli.kaggle.account import open_kaggle


@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_token_is_found_where_kaggles_own_client_finds_it(
    server: KaggleServer, monkeypatch: pytest.MonkeyPatch, home: Path, where: str
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    forget_kaggle()
    if where == "environment":
        monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    else:
        (home / ".kaggle").mkdir(exist_ok=True)
        (home / ".kaggle/access_token").write_text(TOKEN)
    account = open_kaggle()
    assert account.limits(SLUG).left == 5


def test_a_key_in_a_file_that_everybody_may_read_is_warned_of(
    server: KaggleServer,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("KAGGLE_KEY", "KAGGLE_USERNAME"):
        monkeypatch.delenv(name)
    (home / ".kaggle").mkdir(exist_ok=True)
    key = home / ".kaggle/kaggle.json"
    key.write_text(json.dumps({"username": USER, "key": KEY}))
    key.chmod(0o644)
    forget_kaggle()
    assert open_kaggle().limits(SLUG).left == 5
    out, err = capfd.readouterr()
    assert out == ""
    assert "readable by other users" in err
    assert KEY not in err


def test_no_credentials_are_told_in_three_lines(
    server: KaggleServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    forget_kaggle()
    with pytest.raises(DlError, match="Kaggle's credentials are missing") as error:
        open_kaggle()
    assert len(error.value.hint.splitlines()) == 3
    assert "https://www.kaggle.com/settings/api" in error.value.hint
    assert capfd.readouterr().out == ""  # the package prints its help there


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("kaggle.json", "[]", "~/.kaggle/kaggle.json lacks a `username` or a `key`"),
        ("kaggle.json", '{"username": "me"', "~/.kaggle/kaggle.json lacks"),
        ("kaggle.json", '{"username": "me"}', "~/.kaggle/kaggle.json lacks"),
        ("access_token", "KGAT_gone", "the one in ~/.kaggle/access_token is not valid"),
        ("other", "", "KAGGLE_USERNAME is set, but KAGGLE_KEY is not"),
        ("access_token", "\n", "neither its files nor the environment have any"),
    ],
)
def test_what_is_wrong_with_credentials_is_named(
    server: KaggleServer,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    file: str,
    text: str,
    why: str,
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    if "USERNAME" not in why:
        monkeypatch.delenv("KAGGLE_USERNAME")
    (home / ".kaggle").mkdir(exist_ok=True)
    (home / ".kaggle" / file).write_text(text)
    forget_kaggle()
    with pytest.raises(DlError) as error:
        open_kaggle()
    assert why in error.value.why
    assert "KGAT_gone" not in str(error.value)
    assert error.value.hint.startswith("1. Generate a token")


@pytest.mark.parametrize("kind", ["token", "key"])
def test_credentials_that_are_wrong_say_so_and_are_shown_nowhere(
    server: KaggleServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    forget_kaggle()
    if kind == "token":
        monkeypatch.delenv("KAGGLE_KEY")
        monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_secret")
    else:
        monkeypatch.setenv("KAGGLE_KEY", "KGAT_secret")
    wrong = r"Kaggle does not accept the (access token|credentials)"
    with pytest.raises(DlError, match=wrong) as error:
        open_kaggle().limits(SLUG)
    assert "KGAT_secret" not in str(error.value)
    assert "https://www.kaggle.com/settings/api" in error.value.hint
