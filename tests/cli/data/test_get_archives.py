"""`dl data get` of an archive that attacks, is damaged, or holds no dataset: how to go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.archives import encrypted, with_declared_size, zipped
from support.command_result import Dl, refused
from support.competition_entry import FILES, SLUG
from support.kaggle_server import KaggleServer
from support.small_folders import Tree, tree

Maker = Callable[[Path], Path]

TWO = {"train/cat.1.jpg": b"1", "train/dog.1.jpg": b"1"}


def bomb(path: Path) -> Path:
    return with_declared_size(zipped(path, {"train/cat.1.jpg": b"1"}), 4_000_000_000)


def nonsense(path: Path) -> Path:
    path.write_bytes(b"not a zip at all")
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: zipped(path, TWO | {"../../escaped.jpg": b"evil"}), "be outside its"),
        (lambda path: zipped(path, TWO | {"/tmp/escaped.jpg": b"evil"}), "be outside its"),
        (bomb, "more than 200 times its size"),
        (nonsense, "not that of a zip or tar"),
        (encrypted, "needs a password"),
    ],
)
def test_an_archive_that_attacks_or_is_none_does_nothing_and_can_be_fetched_anew(
    dl: Dl, server: KaggleServer, home: Path, tmp_path: Path, make: Maker, says: str
) -> None:
    server.competitions[SLUG].archive = make(tmp_path / "a.zip").read_bytes()
    refused(
        dl("data", "get", SLUG), says, f"To download it again: `rm ~/data/.downloads/{SLUG}.zip`"
    )
    files = {path for path in tree(home, hidden=True) if path.startswith("data/")}
    assert files == {f"data/.downloads/{SLUG}.zip"}
    assert not any(home.rglob("escaped*"))
    assert not Path("/tmp/escaped.jpg").exists()


@pytest.mark.parametrize(
    ("words", "files", "says", "exit_code"),
    [
        (["--labels", "label.csv"], FILES, "No such file: label.csv", 1),
        ([], {"train/1.jpg": b"1", "train/2.jpg": b"2"}, "have no class in their names", 1),
        ([], {"readme.txt": b"nothing"}, f"then `dl data organize ~/data/.downloads/{SLUG}`", 1),
    ],
)
def test_what_fetching_anew_does_not_mend_is_not_to_be_fetched_anew(
    dl: Dl, server: KaggleServer, words: list[str], files: Tree, says: str, exit_code: int
) -> None:
    server.competitions[SLUG].files = dict(files)
    said = refused(dl("data", "get", SLUG, *words), says, exit_code=exit_code)
    assert "rm " not in said.stderr


def test_a_damaged_archive_is_to_be_fetched_anew_and_nothing_else(
    dl: Dl, server: KaggleServer
) -> None:
    whole = server.competitions[SLUG].whole()
    server.competitions[SLUG].archive = whole[: len(whole) // 2]
    assert refused(dl("data", "get", SLUG)).stderr.endswith(
        f"Nothing was unpacked. To download it again: `rm ~/data/.downloads/{SLUG}.zip`, then the "
        "same command.\n"
    )
