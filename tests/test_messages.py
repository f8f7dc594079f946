"""`docs/messages.py` prints every text that users read: no error of the source is left out."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return import_module("docs.messages")


def printed(messages: ModuleType, monkeypatch, capsys, *args: str) -> str:
    monkeypatch.setattr(sys, "argv", ["messages", *args])
    messages.main()
    return capsys.readouterr().out


def test_an_error_is_printed_with_its_place_reason_and_hint(messages, monkeypatch, capsys) -> None:
    folders = ROOT / "dlcli/data/folders.py"
    out = printed(messages, monkeypatch, capsys, str(folders))
    line = 1 + folders.read_text().splitlines().index('            f"Can\'t read {shown(folder)}",')
    assert out.startswith("# dlcli/data\n")
    assert (
        f"dlcli/data/folders.py:{line - 1} DlError\n"
        "    what: Can't read {shown(folder)}\n"
        "    why: permission denied\n"
        "    hint: Change its permissions, or run as its owner.\n"
    ) in out


def test_every_error_of_the_source_is_printed(messages) -> None:
    in_source = [
        (path, number)
        for path in sorted((ROOT / "dlcli").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "DlError(" in line and path.name != "errors.py"
    ]
    found = [(text.file, text.line) for text in messages.texts(ROOT) if text.speaker == "DlError"]
    assert len(found) > 300
    assert [each for each in in_source if each not in found] == []


def test_the_texts_that_a_name_may_hold_are_alternatives(messages, monkeypatch, tmp_path) -> None:
    source = """
def f(n):
    why = "none is left"
    if n:
        why, hint = f"{n} are left", "Wait for it."
    say(f"It stops: {why}" + (" now" if n else ""))
    raise DlError("It stopped", why=why, hint=hint or "Run it again.")
"""
    (tmp_path / "one.py").write_text(source + "class DlError(Exception): ...\n")
    monkeypatch.setattr(messages, "PACKAGE", tmp_path)
    said, error = messages.texts(tmp_path)
    assert said.parts == (("", "It stops: [none is left | {n} are left][ now | ]"),)
    assert dict(error.parts) == {
        "what": "It stopped",
        "why": "[none is left | {n} are left]",
        "hint": "[Wait for it. | Run it again.]",
    }


def test_every_help_page_is_printed_within_80_columns(messages, monkeypatch, capsys) -> None:
    out = printed(messages, monkeypatch, capsys, "--help-pages")
    assert "$ dl data split --help\nUsage: dl data split [OPTIONS] [DATASET]\n" in out
    assert [line for line in out.splitlines() if len(line) > 80] == []
