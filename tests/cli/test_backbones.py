from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.few_draws import few_draws

from dlcli.backend import start_backend
from dlcli.models.backbones import BACKBONES


def test_the_table_says_what_each_network_is_and_where_its_weights_are(dl, home: Path):
    cached = BACKBONES["vgg16"].source.path
    assert home in cached.parents
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"")
    result = dl("backbones")
    lines = result.stdout.splitlines()
    extra = "embedded" if BACKBONES["efficientnet-lite1"].source.path.is_file() else "not here"
    assert lines[:6] == [
        "backbone             pixels   parameters     MB  licence       weights",
        "efficientnet-lite0      320    4,694,024     18  Apache-2.0    embedded",
        f"efficientnet-lite1      240    5,470,344     21  Apache-2.0    {extra}",
        f"efficientnet-lite2      260    6,150,168     23  Apache-2.0    {extra}",
        "vgg16                   224  138,357,544    528  CC-BY-4.0     cached",
        "vgg19                   224  143,667,240    548  CC-BY-4.0     not here",
    ]
    assert len(lines) == 1 + len(BACKBONES)
    assert (result.exit_code, result.stderr) == (0, "")


def test_json_has_the_same_and_the_file(dl):
    rows = {row["name"]: row for row in json.loads(dl("backbones", "--json").stdout)}
    assert rows.keys() == BACKBONES.keys()
    assert rows["resnet50"] == {
        "name": "resnet50",
        "image_size": 224,
        "trained_at": 224,
        "parameters": 25_636_712,
        "weights_mb": 98,
        "licence": "MIT",
        "weights": None,
        "file": str(BACKBONES["resnet50"].source.path),
        "paper": "He et al. 2015, arXiv:1512.03385",
    }
    assert rows["efficientnet-lite0"]["weights"] == "embedded"


def test_a_network_named_shows_its_layers_that_can_train(dl):
    start_backend()
    with few_draws():
        lines = dl("backbones", "vgg16").stdout.splitlines()
    assert lines[0].split() == ["layer", "kind", "parameters", "unfreeze"]
    assert lines[1].split() == ["block1_conv1", "Conv2D", "1,792", "15"]
    assert lines[-1].split() == ["fc2", "Dense", "16,781,312", "1"]
    rows = json.loads(dl("backbones", "efficientnet-lite0", "--json").stdout)
    assert [row["unfreeze"] for row in rows] == list(range(len(rows), 0, -1))
    assert rows[-1]["parameters"] == 320 * 1280
    assert "Did you mean `resnet50`" in dl("backbones", "resnet5").stderr


def test_the_table_imports_neither_keras_nor_numpy():
    code = (
        "import sys; from dlcli.cli import main; main(['backbones']);"
        "print(sorted({'numpy', 'keras', 'h5py', 'yaml', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
