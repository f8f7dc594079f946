"""The settings that commands share.

Flags, environment variables, files and a run's `config.yaml` follow these declarations. A recipe's
hyperparameters are declared in the recipe.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dlcli.settings.augmentation import Augmentation
from dlcli.settings.aws import Aws
from dlcli.settings.fields import setting

OnError = Literal["stop", "skip"]
# Settings of the pretrained network; they have no effect if a recipe takes the pixels.
BACKBONE_SETTINGS = ("backbone", "weights", "engine", "precision")

MetricName = Literal["log_loss", "accuracy", "auc", "f1", "rmse", "mse", "mae"]


@dataclass(frozen=True)
class Kaggle:
    """Settings of a competition; `dataset.yaml` may set these for its dataset."""

    competition: str | None = setting(
        None, "the competition's short name, the last part of its Kaggle address"
    )
    positive: str | None = setting(
        None, "class whose probability to submit, if the submission has one column", metavar="CLASS"
    )
    metric: MetricName | None = setting(
        None, "metric of the competition; `dl` knows it for some competitions"
    )


# Blocks of settings in `Settings`, by the name of their field.
BLOCKS: dict[str, type] = {"augmentation": Augmentation, "kaggle": Kaggle, "aws": Aws}


@dataclass(frozen=True)
class Settings:
    """Settings that commands share. A recipe's hyperparameters are in `train`."""

    data_dir: Path = setting(Path("~/data"), "folder that holds the datasets")
    runs_dir: Path = setting(Path("~/runs"), "folder that holds the runs")
    dataset: str | None = setting(
        None,
        "path, or name in the data folder; by default the current folder's dataset, else the last "
        "you named",
        metavar="DATASET",
    )
    seed: int = setting(0, "seed of every random choice", at_least=0, below=2**32)
    workers: int | None = setting(
        None,
        "threads that decode images; by default one per core",
        at_least=1,
        below=1025,
        unset="auto",
    )
    on_error: OnError = setting(
        "stop", "on unreadable images: stop and name them all, or skip them"
    )
    backbone: str = setting("efficientnet-lite0", "pretrained network (see `dl backbones`)")
    weights: Path | None = setting(
        None, "file with the backbone's weights; by default `dl` finds or downloads it"
    )
    image_size: int | None = setting(
        None,
        "width and height in pixels; by default the backbone's, or 64 without a backbone",
        at_least=8,
        below=4097,
        unset="auto",
    )
    engine: Literal["auto", "openvino", "keras"] = setting(
        "auto", "engine of forward passes; auto: OpenVINO on a CPU, Keras on a GPU"
    )
    precision: Literal["auto", "f32", "bf16"] = setting(
        "auto", "precision of forward passes; auto: bf16 if the processor has it, else f32"
    )
    memory: float | None = setting(
        None,
        "GiB of images or features to hold in memory; by default a quarter of all memory",
        at_least=0,
        unset="auto",
    )
    tensorboard: bool = setting(False, "write TensorBoard logs to the run's `tensorboard/`")
    keep_checkpoint: bool = setting(
        False, "keep the checkpoint, with the optimizer's state, when the run finishes"
    )
    augmentation: Augmentation = field(default_factory=Augmentation)
    kaggle: Kaggle = field(default_factory=Kaggle)
    aws: Aws = field(default_factory=Aws)

    @property
    def threads(self) -> int:
        """Threads that decode: as set, or one per core that this process may use."""
        if self.workers:
            return self.workers
        if hasattr(os, "sched_getaffinity"):  # Linux: `taskset` and batch systems give fewer
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    @property
    def memory_bytes(self) -> int:
        """Memory for images and features in bytes: as set, or a quarter of the machine's."""
        if self.memory is not None:
            return int(self.memory * 2**30)
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def blocks() -> dict[str, type]:
    """The classes that declare settings, by the prefix of their keys: "", "kaggle."."""
    return {"": Settings, **{f"{name}.": cls for name, cls in BLOCKS.items()}}
