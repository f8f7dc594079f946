"""Hints that install packages: the missing ones by name, for this interpreter, never `dlcli`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import sys
from pathlib import Path

import pytest

from dlcli.process import install_command

ROOT = Path(__file__).parents[1]
DECLARED = [
    "click<9,>=8.2",
    "onnx<2,>=1.19; extra == 'export'",
    'tf2onnx<2,>=1.17; extra == "export"',
    "pillow-heif<2,>=1.1; extra == 'heic'",
]


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: DECLARED)
    monkeypatch.setattr(sys, "prefix", "/opt/venv")


def have(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(
        importlib.metadata, "distributions", lambda name: [name] if name in names else []
    )


def test_the_missing_packages_are_named_with_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    have(monkeypatch)
    assert install_command("export") == f"{pip} 'onnx<2,>=1.19' 'tf2onnx<2,>=1.17'"
    have(monkeypatch, "onnx")
    assert install_command("export") == f"{pip} 'tf2onnx<2,>=1.17'"
    assert install_command("heic") == f"{pip} 'pillow-heif<2,>=1.1'"
    have(monkeypatch, "onnx", "tf2onnx")  # present, and not importable
    assert install_command("export") == f"{pip} 'onnx<2,>=1.19' 'tf2onnx<2,>=1.17'"


def test_the_command_fits_the_way_in_which_dl_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    have(monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    uv = f"uv pip install --python {shlex.quote(sys.executable)} 'pillow-heif<2,>=1.1'"
    assert install_command("heic") == uv
    venv = tmp_path / "pipx" / "venvs" / "dlcli"
    venv.mkdir(parents=True)
    (venv / "pipx_metadata.json").touch()
    monkeypatch.setattr(sys, "prefix", str(venv))
    assert install_command("heic") == "pipx inject dlcli 'pillow-heif<2,>=1.1'"


def test_where_the_metadata_does_not_know_an_extra_the_source_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = f"{shlex.quote(sys.executable)} -m pip install -e '{ROOT}[heic]'"
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: None)
    assert install_command("heic") == source

    def not_installed(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", not_installed)
    assert install_command("heic") == source


def test_no_text_installs_the_package_of_that_name_from_an_index() -> None:
    texts = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "dlcli").rglob("*.py")]
    assert [text for text in texts if "dlcli[" in text.read_text()] == []
