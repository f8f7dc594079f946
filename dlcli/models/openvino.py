"""Export pretrained networks to OpenVINO files, kept in the cache.

The export runs in a child process with Keras on TensorFlow, whatever backend the parent has. So the
same network always gives the same file, and a command that only computes features does not load
TensorFlow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from errno import ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.errors import DlError
from dlcli.files.atomic import atomic_folder
from dlcli.files.paths import cache_home, shown
from dlcli.models.saved import export_model
from dlcli.progress import say
from dlcli.version import __version__

if TYPE_CHECKING:
    from dlcli.models.forward import Forward


MODEL = ("model.xml", "model.bin")  # the graph and its weights
FAILED_AS_SAID = 3  # the child's exit code for an error that it explains


def exported(forward: Forward, weights: Path, *, damaged: os.stat_result | None = None) -> Path:
    """The network's OpenVINO file, from the cache or exported now.

    Args:
        forward: the network, its cut and image size.
        weights: the file of its weights.
        damaged: of an exported file that can't be read, so that it is exported again, but one
            that another process has made since is used.

    Raises:
        DlError: the weights are not this network's, or there is no space for the file.
    """
    import hashlib

    spec = {
        "backbone": forward.backbone,
        "weights_hash": forward.weights_hash,
        "layer": forward.layer,
        "image_size": forward.pixels.size,
        "version": __version__,  # another version may build the network differently
    }
    key = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
    name = f"{forward.backbone}-{forward.layer}-{forward.pixels.size}-{key}"
    folder = cache_home() / "openvino" / name
    if not _is_whole(folder, damaged):
        say(f"Preparing {forward.backbone} for OpenVINO, once. It is kept in {shown(folder)}")
        try:
            _export_in_child(spec | {"weights": str(weights)}, folder, damaged)
        except OSError as error:
            if not _is_whole(folder, damaged):  # else another process was quicker
                raise _cannot_write(folder, error.strerror or str(error)) from error
    return folder / MODEL[0]


def _is_whole(folder: Path, damaged: os.stat_result | None) -> bool:
    if not all((folder / name).is_file() for name in MODEL):
        return False
    return damaged is None or not os.path.samestat(damaged, (folder / MODEL[0]).stat())


def _cannot_write(folder: Path, why: str) -> DlError:
    return DlError(
        f"Can't write the network for OpenVINO to {shown(folder.parent)}",
        why=why,
        hint="Free some space, correct its permissions, or choose another cache folder: "
        "`export XDG_CACHE_HOME=...`.",
    )


def _export_in_child(spec: dict[str, object], folder: Path, damaged: os.stat_result | None) -> None:
    with atomic_folder(folder, replace=True) as built:  # what is there is damaged
        child = subprocess.run(
            # -P: do not import a keras.py from the current folder
            [sys.executable, "-P", "-m", "dlcli.models.openvino", json.dumps(spec), str(built)],
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            errors="backslashreplace",
        )
        if child.returncode == FAILED_AS_SAID:
            said = json.loads(child.stdout.splitlines()[-1])
            raise DlError(said["what"], why=said["why"], hint=said["hint"])
        if child.returncode:
            raise RuntimeError(f"exporting {folder.name} failed:\n{child.stderr}")
        if _is_whole(folder, damaged):  # another process may be reading it
            raise FileExistsError(f"{folder} was made by another process")


def _export(spec: dict[str, str | int], folder: Path) -> None:
    """The child's work: build, load, cut, export."""
    from dlcli.backend import start_backend
    from dlcli.models.backbones import get_backbone
    from dlcli.models.network import load_cut

    start_backend()
    network = load_cut(
        get_backbone(str(spec["backbone"])),
        str(spec["layer"]),  # type: ignore[arg-type]
        Path(str(spec["weights"])),
        int(spec["image_size"]),
    )
    try:
        export_model(network, folder / MODEL[0])
    except OSError as error:
        if error.errno != ENOSPC:
            raise
        raise _cannot_write(folder, "the disk is full, or the file is too large") from error


if __name__ == "__main__":
    try:
        _export(json.loads(sys.argv[1]), Path(sys.argv[2]))
    except DlError as error:
        print(json.dumps({"what": error.what, "why": error.why, "hint": error.hint}))
        sys.exit(FAILED_AS_SAID)
