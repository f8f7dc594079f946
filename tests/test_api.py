"""A run read from Python, as the page on it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok
from support.pictures import make_dataset
from support.predicted_run import predicted_run
from support.small_run import SMALL, only_run

import dlcli
from dlcli.errors import DlError

PAGE = Path(__file__).parent.parent / "docs" / "python.md"


def test_the_pages_example_runs(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("train", "linear", "-d", tiny, "--schedule", "1e-3x2", *SMALL))
    run = only_run(home)
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    example, changed = re.subn(r'"~/runs/[^"]+"', repr(f"~/runs/tiny/{run.name}"), example)
    assert changed == 1
    with redirect_stdout(StringIO()) as written:
        exec(compile(example, str(PAGE), "exec"), {})
    said = written.getvalue().splitlines()
    assert said[0] == f"linear {run.status()['val_loss']}"
    assert said[2].startswith("2 ")
    assert said[-1] == "(None, 64, 64, 3) ('cat', 'dog')"


def test_the_model_gives_the_predictions(dl: Dl, home: Path, tiny: Path) -> None:
    from dlcli.images.pixels import PixelRule, load_pixels

    ok(dl("train", "linear", "-d", tiny, "--schedule", "1e-3x2", *SMALL))
    run = dlcli.Run.open(only_run(home).path)
    valid = run.predictions["valid"]
    rule = PixelRule(**run.config["run"]["pixels"])
    pixels = np.stack([load_pixels(tiny / path, rule) for path in valid.paths]).astype(np.float32)
    np.testing.assert_allclose(run.model().predict_on_batch(pixels), valid.y_prob, atol=1e-5)


def test_what_is_there_is_read_and_what_is_not_is_said(home: Path) -> None:
    root = make_dataset(home / "data" / "pets", train=2, valid=1)
    made = predicted_run(root, "one", {"valid/cat/cat.1000.png": (0.9, 0.1)})
    run = dlcli.Run.open("~/runs/pets/one")
    assert (run.path, run.name) == (made.path, "one")
    assert list(run.predictions) == ["valid"]
    assert run.history == []
    assert run.status == made.status()
    with pytest.raises(DlError, match=r"best\.keras"):
        run.model()
    with pytest.raises(DlError, match="is no run"):
        dlcli.Run.open(home / "runs" / "pets")
    with pytest.raises(AttributeError, match="has no attribute 'Rum'"):
        dlcli.Rum  # noqa: B018


def test_importing_the_package_imports_nothing_but_its_version() -> None:
    code = "import sys, dlcli; print(*[name for name in sys.modules if name.startswith('dlcli')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"dlcli", "dlcli.version"}
