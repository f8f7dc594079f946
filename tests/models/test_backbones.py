from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from inspect import isfunction
from pathlib import Path

import pytest

from dlcli.errors import DlError
from dlcli.models.backbones import BACKBONES, Backbone, get_backbone

FROM_KERAS = [row for row in BACKBONES.values() if row.function.startswith("keras.")]


def keras_function(backbone: Backbone):
    module, function = backbone.function.rsplit(".", 1)
    return getattr(import_module(module), function)


def test_every_network_of_keras_has_a_row():
    import keras

    theirs = {name for name, value in vars(keras.applications).items() if isfunction(value)}
    assert {row.function.rsplit(".", 1)[1] for row in FROM_KERAS} == theirs


@pytest.mark.parametrize("backbone", FROM_KERAS, ids=lambda row: row.name)
def test_the_image_size_is_the_one_that_the_weights_were_trained_at(backbone: Backbone):
    if "MobileNetV3" in backbone.function:  # takes any size; its file says which it was
        assert f"_{backbone.image_size}_" in backbone.source.file
        return
    # the others say it when asked for their published weights at a size that can't be
    with pytest.raises(ValueError, match=re.escape(f"({backbone.image_size}, ")):
        keras_function(backbone)(weights="imagenet", input_shape=(33, 33, 3))


@pytest.mark.parametrize("backbone", FROM_KERAS, ids=lambda row: row.name)
def test_the_weights_digest_is_the_one_that_keras_knows(backbone: Backbone, keras_source: str):
    known = backbone.name not in {"mobilenet", "mobilenet_v2"}  # Keras has none for these
    assert bool(backbone.source.digest) == known
    assert backbone.source.digest in keras_source
    assert backbone.source.url.rsplit("/", 1)[0] in keras_source.replace('"\n    "', "")


@pytest.fixture(scope="module")
def keras_source() -> str:
    from keras.src import applications

    files = sorted(Path(applications.__file__).parent.glob("*.py"))
    return "".join(file.read_text() for file in files)


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda row: row.name)
def test_every_row_is_whole(backbone: Backbone):
    assert BACKBONES[backbone.name] is backbone
    assert re.fullmatch(r"[a-z0-9_-]+", backbone.name)
    assert backbone.licence in {"Apache-2.0", "BSD-3-Clause", "CC-BY-4.0", "MIT"}
    assert "arXiv:" in backbone.paper


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(DlError) as error:
        get_backbone("vgg-16")
    assert "'vgg-16'" in str(error.value)
    assert "Did you mean `vgg16`" in str(error.value)
    assert error.value.exit_code == 2


def test_reading_the_table_imports_nothing_heavy():
    code = (
        "import sys, dlcli.models.backbones;"
        "print(sorted({'numpy', 'keras', 'h5py', 'yaml', 'urllib.request'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
