"""What takes a second: options of a training, the run that came of it, and a forward pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dlcli.runs.run import Run
from dlcli.settings.shared import Settings

SMALL = ("--image-size", "64", "--batch-size", "4")
# of the embedded network's last layers; it takes ten seconds, so that tests share it
UNFREEZING = ("finetune", "--schedule", "1e-3x2", "--unfreeze", "2", *SMALL)
OPENVINO = replace(Settings(), image_size=64, engine="openvino", precision="f32")


def only_run(home: Path) -> Run:
    (path,) = (home / "runs" / "tiny").iterdir()
    return Run(path)
