"""Images and CSVs that may tell their classes, and the dataset that is planned of them."""

from __future__ import annotations

from pathlib import Path

from support.small_folders import plant

from dlcli.data.photos.organize.labels import Naming
from dlcli.data.photos.organize.plan import Plan, plan_organize


def planned(
    base: Path, images: list[str], csvs: dict[str, str], naming: Naming | None = None
) -> Plan:
    files = dict.fromkeys(images, b"") | {name: text.encode() for name, text in csvs.items()}
    return plan_organize(plant(base / "src", files), base / "new", naming or Naming())


def labels_of(plan: Plan) -> dict[str, str]:
    """The class of each image by its name."""
    parts = [move.target.split("/") for move in plan.moves]
    return {each[2]: each[1] for each in parts if each[0] == "train" and len(each) == 3}


def names(*suffixed: str) -> list[str]:
    return [f"train/{name}.jpg" for name in suffixed]
