"""`docs/messages.py` prints every text that users read: no error of the source is left out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def messages() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield import_module("docs.messages")


@pytest.fixture(scope="module")
def texts(messages: ModuleType) -> tuple[Any, ...]:
    """Every text of the source, read once."""
    return tuple(messages.texts(ROOT))


def printed(messages: ModuleType, monkeypatch, capsys, *args: str) -> str:
    monkeypatch.setattr(sys, "argv", ["messages", *args])
    messages.main()
    return capsys.readouterr().out


def test_an_error_is_printed_with_its_place_reason_and_hint(messages, monkeypatch, capsys) -> None:
    folders = ROOT / "dlcli/data/photos/folders.py"
    out = printed(messages, monkeypatch, capsys, str(folders))
    line = 1 + folders.read_text().splitlines().index('            f"Can\'t read {shown(folder)}",')
    assert out.startswith("# dlcli/data/photos\n")
    assert (
        f"dlcli/data/photos/folders.py:{line - 1} DlError\n"
        "    what: Can't read {shown(folder)}\n"
        "    why: permission denied\n"
        "    hint: Change its permissions, or run as its owner.\n"
    ) in out


def test_every_error_of_the_source_is_printed(texts) -> None:
    in_source = [
        (path, number)
        for path in sorted((ROOT / "dlcli").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "DlError(" in line and path.name != "errors.py"
    ]
    found = [(text.file, text.line) for text in texts if text.speaker == "DlError"]
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


def test_every_command_that_a_text_names_exists_with_its_options(texts) -> None:
    known = {ctx.command_path: ctx.command for ctx in import_module("docs.generate").walk()}
    wrong = [
        f"{text.file.relative_to(ROOT)}:{text.line}: `{command}`: {fault}"
        for text in texts
        for _, said in text.parts
        for command in commands_in(said)
        if (fault := fault_of(command.split(), known))
    ]
    assert wrong == []


def commands_in(said: str) -> Iterator[str]:
    """The commands that a text names, without values and without what a box's shell runs."""
    while said != (shorter := re.sub(r"\{[^{}]*\}|'[^']*'", " ", said)):
        said = shorter
    for span in [*re.findall(r"`([^`]*)`", said), *([said] if said.startswith("dl ") else [])]:
        yield from (each for each in re.split(r"\[| \| |\]|&&", span) if each.startswith("dl "))


def fault_of(words: list[str], known: Mapping[str, click.Command]) -> str:
    """What is wrong with a command's name or options; "" if nothing is."""
    path, *rest = words
    while rest and f"{path} {rest[0]}" in known:
        path = f"{path} {rest.pop(0)}"
    is_group = isinstance(known[path], click.Group)
    if is_group and rest and rest[0][0] != "-" and not rest[0].isupper():
        return f"there is no `{path} {rest[0]}`"
    # a group without a command's name takes the options of one of its commands
    meant = [each for name, each in known.items() if is_group and name.startswith(f"{path} ")]
    params = [param for each in [known[path], *meant] for param in each.params]
    flags = {flag for param in params for flag in (*param.opts, *param.secondary_opts)}
    odd = {word for word in rest if word.startswith("-")} - flags - {"-", "--", "--help", "--debug"}
    return f"it has no {', '.join(sorted(odd))}" if odd else ""
