"""Which layers of a pretrained network train, and at which rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok
from support.small_run import SMALL, only_run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

TRAIN = ("train", "finetune", "--schedule", "1e-3", *SMALL)


def changed_layers(home: Path) -> dict[str, float]:
    """How far each layer of the run's backbone is from the pretrained one, where it is."""
    import keras

    from dlcli.models.backbones import get_backbone
    from dlcli.models.network import load_cut

    pretrained = load_cut(get_backbone("efficientnet-lite0"), "pooled", None, 64)
    model = keras.saving.load_model(only_run(home).last_model)
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    distances = {}
    for layer in pretrained.layers:
        now = backbone.get_layer(layer.name).get_weights()
        pairs = list(zip(layer.get_weights(), now, strict=True))
        if distance := max((float(abs(old - new).max()) for old, new in pairs), default=0.0):
            distances[layer.name] = distance
    return distances


def test_freeze_to_trains_a_layer_and_those_above_it(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl(*TRAIN, "-d", tiny, "--freeze-to", "blocks_15_project_conv"))
    assert changed_layers(home).keys() == {"conv_head", "blocks_15_project_conv"}
    assert only_run(home).name.endswith("-from-blocks_15_project_conv-b4")


def test_a_layer_decay_trains_lower_layers_at_lower_rates(dl: Dl, home: Path, tiny: Path) -> None:
    options = ("--unfreeze", "2", "--layer-decay", "0.01", "--unfreeze-schedule", "1e-3")
    ok(dl(*TRAIN, "-d", tiny, *options, "--batch-size", "16"))
    moved = changed_layers(home)
    # Adam's first step is the learning rate, whatever the gradient's size
    assert moved["conv_head"] == pytest.approx(1e-5, rel=0.1)
    assert moved["blocks_15_project_conv"] == pytest.approx(1e-7, rel=0.3)


def test_an_unknown_layer_names_the_nearest_before_anything_is_trained(
    dl: Dl, home: Path, tiny: Path
) -> None:
    result = dl(*TRAIN, "-d", tiny, "--freeze-to", "_conv_haed")
    assert result.exit_code == 2
    assert "Did you mean `conv_head`" in result.stderr
    assert "List the layers with `dl backbones efficientnet-lite0`." in result.stderr
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--unfreeze", "2", "--freeze-to", "conv_head"),
        ("--layer-decay", "0.5"),
        ("--unfreeze-schedule", "1e-4"),
        ("--augment-passes", "2"),
        ("--rotation", "20"),
        ("--augment", "--preset", "none"),
        ("--schedule", "1e-3y2"),
        ("--schedule", "0x2"),
        ("--ema", "1"),
    ],
    ids=" ".join,
)
def test_what_contradicts_itself_is_refused_as_wrong_usage(
    dl: Dl, home: Path, tiny: Path, options: tuple[str, ...]
) -> None:
    result = dl("train", "finetune", "-d", tiny, *options)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert not (home / "runs").exists()


def test_every_option_of_training_goes_with_every_other(dl: Dl, home: Path, tiny: Path) -> None:
    options = ("--mixup", "0.2", "--label-smoothing", "0.1", "--class-weights", "--ema", "0.9")
    command = ("train", "finetune", "-d", tiny, "--schedule", "1e-2x4", *options)
    ok(dl(*command, "--mixed-precision", "--augment", "--augment-passes", "1", *SMALL))
    run = only_run(home)
    assert run.state == "finished"
    assert np.isfinite(run.status["train_loss"])
    config = run.config["train"]["finetune"]
    assert (config["mixup"], config["ema"], config["augment_passes"]) == (0.2, 0.9, 1)


def test_a_finished_runs_weights_are_begun_with(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-2x6", *SMALL))
    first = only_run(home)
    said = ok(dl(*TRAIN, "--schedule", "1e-9", "--init-from", first.name)).stderr
    assert f"Started from {first.name}: classes." in said
    second = max((home / "runs" / "tiny").iterdir(), key=lambda path: path.stat().st_mtime)
    from dlcli.runs.run import Run

    assert Run(second).status["val_loss"] == pytest.approx(first.status["val_loss"], abs=1e-4)


def test_a_run_whose_network_was_changed_below_is_no_beginning_on_stored_features(
    dl: Dl, home: Path, tiny: Path
) -> None:
    # all that is learned is learned unfrozen, so the best epoch is of that phase
    unfrozen = ("--unfreeze", "1", "--unfreeze-schedule", "1e-3x3", "--schedule", "1e-9")
    ok(dl(*TRAIN, *unfrozen, "-d", tiny))
    first = only_run(home)
    result = dl(*TRAIN, "--init-from", first.name)
    assert result.exit_code == 1
    assert "conv_head differ from the pretrained ones" in result.stderr
    result = dl("train", "cnn", "-d", tiny, "--image-size", "16", "--init-from", first.name)
    assert "No weights of" in result.stderr


def test_on_images_the_runs_whole_network_is_begun_with_and_kept(
    dl: Dl, home: Path, tiny: Path
) -> None:
    strong = ("--unfreeze", "2", "--unfreeze-schedule", "1e-2x2")
    ok(dl(*TRAIN, "-d", tiny, *strong))
    first = only_run(home)
    options = ("--schedule", "1e-12", "--augment", "--init-from", first.name)
    for more in (("--mixed-precision",), ("--unfreeze", "1")):
        said = ok(dl("train", "finetune", *SMALL, *options, *more)).stderr
        assert f"Started from {first.name}: the backbone, classes." in said

    import keras

    from dlcli.runs.run import Run

    x = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 3)).astype(np.float32)
    others = [Run(path) for path in first.path.parent.glob("*-aug*")]
    before, *after = (
        keras.saving.load_model(run.best_model).predict_on_batch(x) for run in (first, *others)
    )
    assert len(after) == 2
    for each in after:
        np.testing.assert_allclose(each, before, atol=1e-3)
