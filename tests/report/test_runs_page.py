"""The page of a dataset's runs, as a file and in a real browser."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.listed_runs import listed_run
from support.predicted_run import two_runs_of_pets

from dlcli.files.formats import write_yaml
from dlcli.report.runs_page import write_runs_page
from dlcli.runs.listing import list_runs
from dlcli.runs.run import Run

TEXTS = "h1, .lead, .chance, .note, nav a, th, td, .letter, .tick, .settings dt"
HOSTILE = "</title><script>alert(1)</script>"


@pytest.fixture
def pets(home: Path) -> Path:
    """The dataset of two runs, see `two_runs_of_pets`."""
    first, second = two_runs_of_pets(home, "202611231409-one", "202611231410-two")
    finished(first, 0.4)
    finished(second, 0.388)
    write_yaml(second.config_file, second.config | {"workers": 3})
    return home / "data" / "pets"


def finished(run: Run, loss: float) -> None:
    """Give a run what a training leaves of its epochs."""
    rows = [{"epoch": n, "val_loss": loss * n, "val_accuracy": 0.95} for n in (1, 2, 3)]
    run.write_history(rows)
    scores = {"val_loss": loss, "val_accuracy": 0.95, "best_epoch": 1}
    run.update_status(epoch=3, seconds=61.5, **scores)


def page_of(home: Path, dataset: str = "pets", **changes: Any) -> str:
    rows = list_runs(home / "runs", dataset, settings=True)
    root = changes.pop("root", home / "data" / dataset)
    write_runs_page(home / "page.html", rows, dataset, root, **changes)
    return (home / "page.html").read_text(encoding="utf-8")


def cells(page: str, table: str) -> list[list[str]]:
    """The texts of a table's rows."""
    (whole,) = re.findall(rf'<table class="[^"]*{table}">(.*?)</table>', page, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", whole, re.DOTALL)
    return [
        [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in rows
    ]


def test_the_runs_stand_in_the_order_of_their_loss(home: Path, pets: Path) -> None:
    listed_run("202611231411-cnn", "pets", recipe="cnn", state="interrupted", epoch=1)
    header, *rows = cells(page_of(home), "runs")
    assert header[:5] == ["run", "", "valid loss", "valid accuracy", "epochs"]
    assert header[5:] == ["best epoch", "state", "recipe", "seconds", "started, UTC"]
    scores = ["0.9500", "3", "1", "finished", "finetune", "61.5", "2026-11-23 14:09"]
    assert rows == [
        ["202611231410-two", "A", "0.3880", *scores],
        ["202611231409-one", "B", "0.4000", *scores],
        ["202611231411-cnn", "", "", "", "1/3", "", "interrupted", "cnn", "", "2026-11-23 14:11"],
    ]


def test_recipes_that_the_names_tell_have_no_column(home: Path) -> None:
    listed_run("202611231411-cnn-e3", "pets", recipe="cnn")
    assert "recipe" not in cells(page_of(home), "runs")[0]


def test_it_says_whether_the_best_two_differ_by_more_than_chance(home: Path, pets: Path) -> None:
    page = page_of(home)
    assert "2 runs, all finished. The best is A, finetune: validation loss 0.388, accura" in page
    assert "A&#39;s log loss is lower than B&#39;s by 0.0179 (95 % interval 0.01" in page
    assert "more than chance explains." in page
    assert "Only A is correct on 1 image, only B on 0 (p = 1.00): within chance." in page
    assert "these very images" not in page
    finished(listed_run("202611231411-cnn", "pets"), 0.9)
    assert "A and B are the best of 3 runs on these images" in page_of(home)


def test_where_they_can_not_be_compared_it_says_why(home: Path, pets: Path) -> None:
    Run(home / "runs/pets/202611231409-one").predictions_file("valid").unlink()
    page = page_of(home)
    assert (
        "A and B can&#39;t be compared. 202611231409-one has no predictions of validation images"
        in page
    )


def test_settings_that_differ_stand_for_the_best_and_for_all_others(home: Path, pets: Path) -> None:
    assert cells(page_of(home), "differing") == [
        ["setting", "A", "B"],
        ["dropout", "0.3", ""],
        ["seed", "1", ""],
    ]
    for number in range(6):
        values = {"dropout": 0.3 if number < 5 else 0.7}
        finished(listed_run(f"2026112315{number}0-x", "pets", hyperparameters=values), 1 + number)
    header, *rows = cells(page_of(home), "differing")
    assert header == ["setting", "A", "B", "C", "D", "E", "the others"]
    found = {row[0]: row[1:] for row in rows}
    assert found["dropout"] == ["0.3", "", "0.3", "0.3", "0.3", "0.3 (2), 0.7 (1)"]
    assert "workers" not in found


def test_a_run_with_a_report_of_its_own_leads_there(home: Path, pets: Path) -> None:
    run = Run(home / "runs/pets/202611231409-one")
    run.report_file.write_text("")
    page = page_of(home)
    assert '<a href="runs/pets/202611231409-one/report.html">202611231409-one</a>' in page
    assert page.count("report.html") == 1


def test_damaged_runs_are_listed_with_what_is_wrong(home: Path, pets: Path) -> None:
    damaged = listed_run("202611231412-cnn", "pets", val_loss=0.001)
    damaged.config_file.write_text("run: [\n")
    page = page_of(home)
    assert cells(page, "damaged")[1:] == [["202611231412-cnn", "config.yaml is not valid YAML"]]
    assert "202611231412-cnn" not in str(cells(page, "runs"))


def test_only_damaged_runs_make_a_page_too(home: Path) -> None:
    listed_run().config_file.unlink()
    page = page_of(home, "tiny", root=None)
    assert "1 run, damaged." in page
    assert "config.yaml is missing" in page
    assert page.count("<section") == 2


def test_the_dataset_is_told_from_its_folder_or_from_a_run(home: Path, pets: Path) -> None:
    from_folder = page_of(home)
    assert "<dt>dataset</dt><dd>~/data/pets</dd>" in from_folder
    assert "<dt>train images</dt><dd>4</dd>" in from_folder
    assert "<dt>2 classes</dt><dd>cat, dog</dd>" in from_folder
    from_run = page_of(home, root=None)
    assert "<dt>valid images</dt><dd>20</dd>" in from_run
    assert "it is not here" in from_run


def test_each_curve_is_drawn_with_its_letter(home: Path, pets: Path) -> None:
    page = page_of(home)
    assert page.count("<polyline") == 4
    assert "Validation loss" in page
    assert "A, epoch 1: 0.388" in page
    assert page.count("A, epoch 3:") == 4  # a point, and in words, of two charts


def test_the_page_needs_nothing_else_and_no_name_can_break_it(home: Path, pets: Path) -> None:
    finished(listed_run(HOSTILE.replace("/", "\\"), "pets"), 0.1)
    finished(listed_run("two\nlines " + os.fsdecode(b"\xff"), "pets", recipe="<i>"), 0.2)
    page = page_of(home, filters=["recipe=<b>"])
    assert "<script" not in page
    assert "<i>" not in page
    assert "recipe=&lt;b&gt;" in page
    assert "two\\nlines \\udcff" in page
    assert not re.search(r"url\((?!data:)|@import|https?:", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("kind", ["two", "many", "hostile"])
def test_it_fits_every_screen_in_both_schemes(
    browser: Any, home: Path, pets: Path, kind: str, width: int, scheme: str
) -> None:
    if kind == "many":
        for number in range(30):
            name = f"20261123{15 + number // 10}{number % 10}0-finetune-e3-lr0.001-t1"
            finished(listed_run(name, "pets", settings={"seed": number}), 0.3 + number / 10)
        listed_run("202611231412-cnn", "pets").config_file.write_text("run: [\n")
    if kind == "hostile":
        finished(listed_run("x" * 200, "pets", hyperparameters={"units": "y" * 300}), 0.1)
        finished(listed_run("two\nlines " + os.fsdecode(b"\xff"), "pets"), 0.2)
    page_of(home)
    browser.require_fit(home / "page.html", width, scheme, TEXTS)


def test_a_name_leads_to_the_runs_own_report(browser: Any, home: Path, pets: Path) -> None:
    odd = listed_run("a b#c?d%20:" + os.fsdecode(b"\xff"), "pets")
    finished(odd, 0.1)
    odd.report_file.write_text("<title>its own</title>")
    page_of(home)
    browser.open(home / "page.html", 1280)
    browser.open(Linked(browser.run("document.querySelector('.runs a').href")), 1280)
    assert browser.run("document.title") == "its own"


class Linked:
    """An address that the page has, as the browser opens a file."""

    def __init__(self, address: str) -> None:
        self.as_uri: Callable[[], str] = lambda: address
