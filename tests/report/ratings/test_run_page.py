"""The page of a run of ratings, as a file and in a real browser."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.rating_report import rating_report

from dlcli.report.ratings.run_page import Report, write_report
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow

TEXTS = "h1, .lead, .note, nav a, .numbers th, small, .end, .settings dt"
HOSTILE = [
    '<script>alert("title")</script>',
    "\"'><img src=x onerror=alert(1)>",
    "a\nb",
    "ünï-猫-😀",
    "{{ 7 * 7 }}{% raise %}",
    os.fsdecode(b"\xff\xfe"),
    "$\\frac{$",
    "x" * 300,
    "האיש",
]


def hostile() -> Report:
    """A report in which every text would be HTML if it could."""
    return rating_report(
        HOSTILE,
        items=90,
        top=10,
        title="</title><script>alert(4)</script>",
        recipe="<i>",
        diagnosis="<script>alert(7)</script>",
        settings={"<b>key</b>": "</dd><script>alert(5)</script>", "odd": os.fsdecode(b"\xff")},
        commands=("dl evaluate '</pre><script>alert(6)</script>'",),
    )


REPORTS: dict[str, Callable[[], Report]] = {
    "hostile": hostile,
    "lists": lambda: rating_report(top=5),
    "three items": lambda: rating_report(items=3, ratings=200),
    "no vectors": lambda: rating_report(vectors=False, history=(), diagnosis=""),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each report."""
    return {
        name: write_report(build(), tmp_path_factory.mktemp("page"))
        for name, build in REPORTS.items()
    }


def attributes(page: str) -> list[tuple[str, str | None]]:
    """Every attribute and its value, as a parser sees them."""
    found: list[tuple[str, str | None]] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(attrs)

    Parser().feed(page)
    return found


def test_it_writes_the_page_and_figures_that_a_run_owns(tmp_path: Path) -> None:
    write_report(rating_report(), tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    figures = {"figures/curves.png", "figures/residuals.png", "figures/items.png"}
    assert names == {"report.html", *figures}
    assert Run(tmp_path).others() == []
    write_report(rating_report(vectors=False), tmp_path)
    assert not (tmp_path / "figures/items.png").exists()


def test_it_says_things_in_the_order_of_their_weight(pages: dict[str, Path]) -> None:
    headings = re.findall(r"<h[123][^>]*>(.*?)</h[123]>", pages["lists"].read_text())
    assert headings == [
        "202611231409-collab-dot-e5-f50",
        "Baselines",
        "Lists of the 5 best items",
        "Curves",
        "Residuals",
        "Error by the user's activity",
        "Error by the item's popularity",
        "Best and worst items",
        "Highest bias",
        "Lowest bias",
        "Map of items",
        "Nearest items",
        "Settings",
        "Commands that made this page",
    ]


@pytest.mark.parametrize("name", REPORTS)
def test_the_page_needs_nothing_else_and_no_title_is_html(
    pages: dict[str, Path], name: str
) -> None:
    page = pages[name].read_text(encoding="utf-8")
    loading = {"src", "srcset", "href", "action", "data", "poster", "background"}
    addresses = [str(value) for key, value in attributes(page) if key in loading]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "default-src 'none'" in page
    assert page.count("<script") == 1
    assert not [key for key, _ in attributes(page) if key.startswith("on")]


def test_without_vectors_there_is_a_sentence_in_place_of_the_map(pages: dict[str, Path]) -> None:
    page = pages["no vectors"].read_text()
    assert "no layer `item_vectors`" in page
    assert 'class="map"' not in page
    assert 'id="curves"' not in page
    assert 'class="diagnosis"' not in page


def test_without_biases_and_baselines_their_sections_are_left_out(tmp_path: Path) -> None:
    report = rating_report()
    assert report.items is not None
    no_biases = replace(report.items, biases=None)
    metrics = {**report.metrics, "baselines": {}}
    page = write_report(replace(report, items=no_biases, metrics=metrics), tmp_path).read_text()
    assert 'id="baselines"' not in page
    assert 'id="items"' not in page
    assert 'class="map"' in page
    assert "blue items" not in page
    assert 'id="map"' not in write_report(replace(report, items=None), tmp_path).read_text()


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_report(rating_report(top=5), tmp_path).read_bytes()
    assert write_report(rating_report(top=5), tmp_path).read_bytes() == first


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "light"), (1280, "dark")])
def test_the_page_fits_the_window(
    browser: Any, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    browser.require_fit(pages[name], width, scheme, TEXTS)


def test_an_item_is_found_by_a_part_of_its_title(browser: Any, pages: dict[str, Path]) -> None:
    browser.open(pages["lists"], 1280)
    browser.run(
        "(() => { const find = document.querySelector('#find'); find.value = 'film 7 ';"
        " find.dispatchEvent(new Event('input')); })()"
    )
    assert browser.run("document.querySelector('.panel b').textContent") == "Film 7 (1957)"
    assert browser.run("document.querySelectorAll('.panel li').length") == 6
    assert browser.run("document.querySelectorAll('.map .near').length") == 6
    browser.press("Escape")
    assert "Point at an item" in browser.run("document.querySelector('.panel').textContent")
    assert browser.complaints() == []


def test_the_pointer_shows_an_item_and_a_click_keeps_it(
    browser: Any, pages: dict[str, Path]
) -> None:
    browser.open(pages["lists"], 1280)
    browser.run("document.querySelector('.map').scrollIntoView()")
    x, y, name = browser.run(
        "(() => { const c = document.querySelectorAll('.points circle')[3];"
        " const box = c.getBoundingClientRect();"
        " return [box.x + box.width / 2, box.y + box.height / 2,"
        " c.querySelector('title').textContent]; })()"
    )
    shown = "(document.querySelector('.panel b') || {}).textContent || ''"
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert browser.run(shown) == name
    for kind in ("mousePressed", "mouseReleased"):
        press = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
        browser.call("Input.dispatchMouseEvent", **press)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    assert browser.run(shown) == name
