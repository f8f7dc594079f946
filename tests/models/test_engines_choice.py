"""In which engine and precision a network runs, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.small_run import OPENVINO

from dlcli.errors import DlError
from dlcli.images.pixels import NEWEST, PixelRule
from dlcli.models import engines
from dlcli.models.engines import resolve_forward, start_engine
from dlcli.models.forward import Forward
from dlcli.settings.shared import Settings

# What identifies a function


FORWARD = Forward("vgg16", "0123", "pooled", PixelRule(224), "openvino", "f32")


def test_how_fast_it_is_computed_is_not_part_of_the_function() -> None:
    many = replace(OPENVINO, workers=7, seed=3)
    assert resolve_forward(many, "pooled") == resolve_forward(OPENVINO, "pooled")


# Which engine, in which precision


def test_what_was_made_with_openvino_is_refused_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(DlError, match="OpenVINO is not installed"):
        start_engine(FORWARD, tmp_path / "weights.h5")


def test_on_a_cpu_openvino_runs_the_network_if_it_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    assert resolve_forward(Settings(), "pooled")[0].engine == "openvino"
    find = engines.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda n: None if n == "openvino" else find(n))
    assert resolve_forward(Settings(), "pooled")[0].engine == "keras"
    with pytest.raises(DlError) as caught:
        resolve_forward(OPENVINO, "pooled")
    assert caught.value.hint == "Use `--engine keras`."


def test_on_a_gpu_keras_runs_the_network_in_bf16_where_it_has_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: True)
    for capable, precision in ((True, "bf16"), (False, "f32")):
        monkeypatch.setattr(engines, "gpu_has_bf16", lambda capable=capable: capable)
        forward, _ = resolve_forward(Settings(), "pooled")
        assert (forward.engine, forward.precision) == ("keras", precision)


@pytest.mark.parametrize("capable", [True, False])
def test_bf16_and_scaled_decoding_come_together_where_the_processor_has_bf16(
    monkeypatch: pytest.MonkeyPatch, capable: bool
) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    monkeypatch.setattr(engines, "computes_bf16", lambda engine: capable)
    forward, _ = resolve_forward(Settings(), "pooled")
    assert forward.precision == ("bf16" if capable else "f32")
    assert forward.pixels == PixelRule(320, "scaled" if capable else "exact", NEWEST)


@pytest.mark.parametrize("missing", ["simplejpeg", "cv2"])
def test_without_scaled_decoders_every_pixel_is_decoded(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    find = engines.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda n: None if n == missing else find(n))
    forward, _ = resolve_forward(replace(OPENVINO, precision="bf16"), "pooled")
    assert forward.pixels.decode == "exact"


def test_f32_is_exact_throughout() -> None:
    forward, _ = resolve_forward(OPENVINO, "pooled")
    assert (forward.precision, forward.pixels) == ("f32", PixelRule(64, "exact", NEWEST))


def test_the_image_size_is_the_backbones_best_unless_it_is_set() -> None:
    unset = replace(OPENVINO, image_size=None)
    assert resolve_forward(unset, "pooled")[0].pixels.size == 320
    assert resolve_forward(OPENVINO, "pooled")[0].pixels.size == 64


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (replace(OPENVINO, backbone="effcientnet-lite0"), "efficientnet-lite0"),
        (replace(OPENVINO, weights=Path("nowhere.h5")), "nowhere.h5"),
    ],
)
def test_what_is_not_there_is_said(settings: Settings, said: str) -> None:
    with pytest.raises(DlError) as caught:
        resolve_forward(settings, "pooled")
    assert said in str(caught.value)
