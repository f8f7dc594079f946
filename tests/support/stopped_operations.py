"""Operations on a small dataset that were killed on the way, and their journals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.small_folders import Act, tree

from dlcli.data.journal import hold, journals
from dlcli.data.moves import finish
from dlcli.data.pending import DoubtfulError, Named


def interrupted(act: Act, folder: Path, name: str, done: int = 2) -> Path:
    """A dataset whose operation was killed after some moves."""
    act(folder)
    root = folder / name
    journal = journals(root)[-1]
    operation = journal.read()
    for move in operation.moves[done:]:
        target, source = root / move.target, operation.source / move.source
        source.parent.mkdir(parents=True, exist_ok=True)
        if operation.kind == "move":
            target.rename(source)
        else:
            target.unlink()
    journal.renamed("pending")
    return root


def header_of(root: Path) -> dict[str, Any]:
    return dict(json.loads(journals(root)[-1].path.read_text().splitlines()[0]))


def rewritten(root: Path, **changes: Any) -> None:
    """The last journal of a dataset with another header; a value of None is left out."""
    path = journals(root)[-1].path
    header, *lines = path.read_text().splitlines()
    changed = json.loads(header) | changes
    kept = {key: value for key, value in changed.items() if key not in changes or value is not None}
    path.write_text("\n".join([json.dumps(kept), *lines, ""]))


def finished(root: Path, named: Named | None = None) -> None:
    with hold(root) as held:
        finish(held, named)


def doubt_of(root: Path, act: Callable[[Path], object] = finished) -> str:
    """Why an operation needs a question; nothing moves before the answer."""
    everything = root.parent
    before = tree(everything, hidden=True)
    with pytest.raises(DoubtfulError) as error:
        act(root)
    assert tree(everything, hidden=True) == before
    return error.value.why
