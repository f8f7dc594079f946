"""Keras starts with this tool's settings, or says why it can't."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dlcli.backend import gpu_has_bf16, has_gpu

pytestmark = pytest.mark.slow


def child(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process in which Keras was not imported yet."""
    code = f"import os; from dlcli.backend import *\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_settings_that_lie_in_the_home_folder_change_nothing(home: Path) -> None:
    stray = {
        "image_data_format": "channels_first",
        "floatx": "float16",
        "epsilon": 0.1,
        "backend": "torch",
        "dtype_policy": "mixed_float16",
    }
    (home / ".keras").mkdir()
    (home / ".keras" / "keras.json").write_text(json.dumps(stray))
    done = child(
        "name = start_backend()\n"
        "import keras\n"
        "c = keras.config\n"
        "print(name, c.image_data_format(), c.floatx(), c.epsilon(), c.dtype_policy().name)"
    )
    assert done.stdout == "tensorflow channels_last float32 1e-07 float32\n"
    assert done.stderr == ""


def test_the_collector_never_looks_at_what_an_import_made() -> None:
    done = child(
        "import gc\n"
        "start_backend()\n"
        "kept = gc.get_freeze_count()\n"
        "start_backend()\n"
        "print(kept > 100_000, gc.get_freeze_count() == kept, gc.isenabled())"
    )
    assert done.stdout == "True True True\n"


@pytest.mark.parametrize("name", ["tensorflwo", "mxnet"])
def test_a_backend_that_there_is_not_is_refused_in_words(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", name)
    done = child(
        "from dlcli.errors import DlError\ntry: start_backend()\nexcept DlError as e: print(e)"
    )
    assert f"KERAS_BACKEND={name}" in done.stdout
    assert "tensorflow" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_hidden_gpu_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not has_gpu()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if not Path("/dev/nvidia0").exists():
        assert not has_gpu()


@pytest.mark.parametrize(
    ("said", "capable"), [("8.0\n", True), ("9.0\n9.0\n", True), ("7.5\n", False), ("", False)]
)
def test_bf16_is_of_the_gpus_that_compute_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, capable: bool
) -> None:
    (tmp_path / "answer").write_text(said)
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gpu_has_bf16() == capable


def test_without_the_gpus_own_program_nothing_is_claimed_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not gpu_has_bf16()
