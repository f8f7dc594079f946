"""Set up Keras' backend, the same way in every process, before Keras is imported."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlcli.errors import DlError

DEFAULT_BACKEND = "tensorflow"  # measured fastest for training convolutions on a CPU


def start_backend(name: str | None = None) -> str:
    """Import Keras with this tool's settings instead of `~/.keras/keras.json`.

    A `channels_first` or `float16` there would silently apply to our images. `KERAS_BACKEND`
    chooses another backend.

    Args:
        name: the required backend; None: the chosen one.

    Returns:
        the backend's name.

    Raises:
        DlError: `KERAS_BACKEND` names a backend that is not installed.
    """
    silence_openvino()  # Keras exports with it
    chosen = name or chosen_backend()
    os.environ["KERAS_BACKEND"] = chosen
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    first = "keras" not in sys.modules
    try:
        with without_notices(), uncollected():
            import keras
    except (ImportError, ValueError) as error:
        raise DlError(
            f"Keras can't start on KERAS_BACKEND={chosen}",
            why=str(error),
            hint=f"Unset it to use {DEFAULT_BACKEND}, or install that backend.",
        ) from error

    if first:
        keras.config.set_image_data_format("channels_last")
        keras.config.set_floatx("float32")
        keras.config.set_epsilon(1e-7)
        keras.config.set_dtype_policy("float32")
        if keras.backend.backend() == "tensorflow":
            import logging

            logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return str(keras.backend.backend())


def chosen_backend() -> str:
    """The backend's name, started or not."""
    return os.environ.get("KERAS_BACKEND") or DEFAULT_BACKEND


def seed_all(seed: int) -> None:
    """Set the seeds of Python, NumPy and the backend."""
    start_backend()
    import keras

    with without_notices():
        keras.utils.set_random_seed(seed)


def silence_openvino() -> None:
    """Turn off OpenVINO's telemetry, which reports imports and writes to the user's home."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def jit_compile() -> bool | str:
    """Keras' `jit_compile`: off for TensorFlow on a CPU.

    On a CPU XLA takes a second to compile even one Dense layer, and then runs no faster.
    """
    import keras

    return False if keras.backend.backend() == "tensorflow" and not has_gpu() else "auto"


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Make layers in another precision: Keras' "float32", "mixed_bfloat16", "mixed_float16"."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def mixed_policy() -> str:
    """The 16-bit format of mixed precision: bf16, or fp16 on GPUs without it, such as the T4."""
    return "mixed_float16" if has_gpu() and not gpu_has_bf16() else "mixed_bfloat16"


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU, with the libraries to use it.

    Checked without a backend, which takes seconds to load. A GPU without CUDA's libraries
    (installed without the extra `gpu`) does not count.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and Path("/dev/nvidia0").exists() and _has_cudnn()


def gpu_has_bf16() -> bool:
    """Whether the GPU computes in bf16: compute capability 8.0 (Ampere) or later."""
    import subprocess

    ask = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        said = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True).stdout
        return float(said.split()[0]) >= 8
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return False


def _has_cudnn() -> bool:
    from ctypes.util import find_library
    from importlib.util import find_spec

    try:
        packaged = find_spec("nvidia.cudnn") is not None  # from the backends' wheels
    except ModuleNotFoundError:
        packaged = False
    return packaged or find_library("cudnn") is not None


@contextmanager
def without_notices() -> Iterator[None]:
    """Suppress TensorFlow's C++ start-up notices, which no setting turns off.

    Keras loads TensorFlow, if installed, on every backend: for seeds, and to save and read models.
    """
    if "tensorflow" in sys.modules:  # its notices are already past
        yield
        return
    with silent():
        yield


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector from objects of an import, during it and afterwards.

    TensorFlow's half a million objects live until the end, and each full collection would scan all
    of them: `dl train finetune` on stored features took 6.5 s with that and takes 5.4 s without (2
    cores of a Xeon, 100 photos, medians of four).
    """
    if "keras" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def silent() -> Iterator[None]:
    """Suppress what C++ code writes to standard error."""
    sys.stderr.flush()
    saved = os.dup(2)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def litert_interpreter(path: Path) -> Any:
    """The interpreter of a LiteRT file; it comes with TensorFlow."""
    from tensorflow import lite

    return lite.Interpreter(str(path))
