"""Figures as PNGs: curves, in a style of their own."""

from PIL import Image

from dlcli.evaluation.history import curves
from dlcli.report import figures


def picture(path):
    image = Image.open(path)
    image.load()
    assert image.format == "PNG"
    return image.convert("RGB")


def test_a_figure_looks_the_same_whatever_style_lies_in_the_current_folder(tmp_path):
    import matplotlib

    lines = curves([{"loss": 1.0, "val_loss": 0.9}, {"loss": 0.8, "val_loss": 0.7}])
    figures.draw_curves(tmp_path / "a.png", lines)
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30}):
        figures.draw_curves(tmp_path / "b.png", lines)
        assert matplotlib.rcParams["font.size"] == 30  # of the user's own figures
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_curves_take_gaps_phases_and_a_single_epoch(tmp_path):
    rows = [
        {"loss": 1.0, "val_loss": 0.9, "accuracy": 0.5, "phase": "$x"},
        {"loss": float("nan"), "accuracy": 0.6, "phase": "unfrozen\n"},
    ]
    figures.draw_curves(tmp_path / "a.png", curves(rows))
    figures.draw_curves(tmp_path / "b.png", curves(rows[:1]))
    assert picture(tmp_path / "a.png").size == picture(tmp_path / "b.png").size == (1380, 480)
