"""A run's model in other formats: it answers alike, and what one needs to feed it is beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support.command_result import Dl, ok, refused
from support.small_run import SMALL, only_run
from support.turned import save_turned

from dlcli.errors import DlError
from dlcli.files.formats import read_yaml
from dlcli.inference.export.export import EXAMPLE, RECORD
from dlcli.inference.export.formats import FORMATS
from dlcli.inference.export.photos import ImagesAgreement, check_export
from dlcli.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

CNN = ("train", "cnn", "--image-size", "16", "--schedule", "1e-3")
LINEAR = ("train", "linear", "--image-size", "16", "--schedule", "1e-3")


def train(dl_once: Dl, home: Path, root: Path, *recipe: str) -> Run:
    ok(dl_once(*recipe, "-d", root))
    return only_run(home)


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_checked_and_says_how_to_feed_it(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path, name: str
) -> None:
    run = train(dl_once, home, tiny, *CNN)
    said = ok(dl("export", run.name, "--format", name)).stderr
    assert "Checked on 8 validation images: 8 have the class that the run predicted" in said
    folder = run.path / "exports" / name
    script = folder / "example.py"
    typed = f"`python ~/{script.relative_to(home)} PHOTO`"
    assert said.endswith(f"run it with {FORMATS[name].runtime}, without `dl`: {typed}\n")
    photo = tiny / "valid" / "dog" / "dog.1000.png"
    printed = subprocess.check_output([sys.executable, script, photo], text=True).split()
    (row,) = json.loads(ok(dl("predict", run.name, photo, "--json")).stdout)
    assert float(printed[printed.index("dog") - 1]) == pytest.approx(
        row["probabilities"]["dog"], abs=2e-4
    )
    record = read_yaml(folder / RECORD)
    assert (folder / record["model"]).exists()
    assert run.others() == []
    assert record["classes"] == ["cat", "dog"]
    assert record["input"]["shape"] == [None, 16, 16, 3]
    assert "Pillow" in record["input"]["resized"]
    assert ("resize_tensor_input" in record["input"]["batch"]) == (name == "litert")
    assert record["checked"]["images"] == 8
    assert record["checked"]["keras"] < 1e-5
    assert record["checked"]["predictions"] < 1e-5


def test_the_example_turns_a_photo_upright_as_the_run_does(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    run = train(dl_once, home, tiny, *LINEAR)
    ok(dl("export", "--format", "openvino"))
    script = run.path / "exports" / "openvino" / EXAMPLE
    with Image.open(tiny / "valid" / "dog" / "dog.1000.png") as image:
        photo = save_turned(image.convert("RGB"), home / "turned.png", 6)
    printed = subprocess.check_output([sys.executable, script, photo], text=True).split()
    (row,) = json.loads(ok(dl("predict", run.name, photo, "--json")).stdout)
    assert float(printed[printed.index("dog") - 1]) == pytest.approx(
        row["probabilities"]["dog"], abs=2e-4
    )
    # by version 1 a photo stays as it is stored
    config = (run.path / "config.yaml").read_text()
    assert "    version: 2\n" in config
    (run.path / "config.yaml").write_text(config.replace("    version: 2\n", ""))
    ok(dl("export", "--format", "openvino", "--to", home / "old"))
    assert "ImageOps" not in (home / "old" / EXAMPLE).read_text()


def test_what_was_compared_with_what_is_said_with_each_number() -> None:
    said = str(ImagesAgreement(58, 2e-7, 0.152, 57, "bf16"))
    assert said == (
        "Checked on 58 validation images: 57 have the class that the run predicted. Each "
        "probability differs from that of the run's model in Keras by less than 0.0001. It "
        "differs from that of the run's predictions by 0.2 at most: the run computed features in "
        "bf16, which is quicker and less precise; the exported model computes in f32."
    )
    exact = str(ImagesAgreement(8, 0.0, 3e-4, 8, "f32"))
    assert exact.endswith(", and from that of the run's predictions by 0.0003 at most.")
    assert "without images. Each probability" in str(ImagesAgreement(0, 0.0, None, 0, "f32"))


def test_tflite_is_litert(dl: Dl, dl_once: Dl, home: Path, tiny: Path) -> None:
    run = train(dl_once, home, tiny, *LINEAR)
    ok(dl("export", "--format", "tflite"))
    exports = run.path / "exports"
    assert [path.name for path in exports.iterdir()] == ["litert"]
    record = read_yaml(exports / "litert" / RECORD)
    assert (record["format"], record["model"]) == ("litert", "model.tflite")
    refused(dl("export", "--format", "tflight"), "litert (or tflite)", exit_code=2)


@pytest.mark.pretrained
def test_a_pretrained_network_is_saved_by_tensorflow_too(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    run = train(dl_once, home, tiny, "train", "finetune", *SMALL, "--schedule", "1e-3")
    assert "Checked on 8" in ok(dl("export", "--format", "tf")).stderr
    assert (run.path / "exports" / "tf" / "saved_model" / "saved_model.pb").is_file()


def test_an_export_is_made_anew_in_the_run_and_never_over_another_folder(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    run = train(dl_once, home, tiny, *LINEAR)
    own = run.path / "exports" / "openvino"
    own.mkdir(parents=True)
    (own / "notes.txt").touch()  # the user's
    ok(dl("export", "--format", "openvino"))
    made = {"model.xml", "model.bin", RECORD, EXAMPLE}
    assert {path.name for path in own.iterdir()} == made | {"notes.txt"}
    again = dl("export", "--format", "openvino", "--to", own)
    refused(again, "exists already", "-2`")
    ok(dl("export", "--format", "openvino", "--to", home / "for" / "phone"))
    assert (home / "for" / "phone" / "model.xml").is_file()


def test_without_images_it_is_checked_on_noise_and_that_is_said(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    run = train(dl_once, home, tiny, *LINEAR)
    run.predictions_file("valid").unlink()
    said = ok(dl("export", "--format", "openvino")).stderr
    assert "Checked on noise" in said
    checked = read_yaml(run.path / "exports" / "openvino" / RECORD)["checked"]
    assert checked["images"] == 0
    assert checked["predictions"] is None


def test_an_ensemble_is_refused_before_anything_begins(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    run = train(dl_once, home, tiny, *LINEAR)
    ok(dl("rerun", run.name, "--set", "seed=1"))
    names = sorted(path.name for path in run.path.parent.iterdir())
    ok(dl("ensemble", *names))
    said = dl("export", "--format", "litert")
    refused(said, f"`dl export {names[0]} --format litert`")
    assert "Exporting" not in said.stderr


def test_a_model_that_answers_otherwise_is_refused(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    from dlcli.backend import start_backend
    from dlcli.models.saved import load_model

    run = train(dl_once, home, tiny, *LINEAR)
    ok(dl("export", "--format", "openvino"))
    start_backend()
    import keras

    model = load_model(run.best_model)
    for variable in model.trainable_variables:
        variable.assign(keras.random.normal(variable.shape, seed=1))
    exported = run.path / "exports" / "openvino" / "model.xml"
    with pytest.raises(DlError, match="output differs from the run"):
        check_export(run, model, exported, "openvino", tiny)


def test_what_can_not_be_exported_is_refused(dl: Dl, dl_once: Dl, home: Path, tiny: Path) -> None:
    import keras

    run = train(dl_once, home, tiny, *LINEAR)
    refused(dl("export", run.name), "--format", exit_code=2)
    attack = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Lambda(lambda x: x)])
    attack.save(run.best_model)
    refused(dl("export", "--format", "onnx"), "best.keras can't be loaded", "Lambda")
    ok(dl("train", *LINEAR[1:]))
    ok(dl("ensemble", *(path.name for path in run.path.parent.iterdir())))
    (ensemble,) = run.path.parent.glob("*-ensemble*")
    refused(dl("export", ensemble, "--format", "onnx"), "has no model", "members")
    assert not list(ensemble.glob("exports*"))
