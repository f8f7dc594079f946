"""The page, as a file and in a real browser."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from dlcli.evaluation.metrics import evaluate
from dlcli.report.photos.run_page import write_report
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow


TEXTS = "h1, .lead, .note, nav a, summary, .numbers th, .called, .file, .settings dt"
HOSTILE_CLASSES = [
    '<script>alert("class")</script>',
    "\"'><img src=x onerror=alert(1)>",
    "a\nb",
    "ünï-猫-😀",
    "{{ 7 * 7 }}{% raise %}",
    os.fsdecode(b"\xff\xfe"),
    "$\\frac{$",
    "x" * 200,
]
HOSTILE_FILES = [
    "<script>alert(2)<#script>.jpg",
    "\"'> onmouseover=alert(3) .jpg",
    "new\nline.jpg",
    " -- spaces  and 'quotes' .jpg",
    "猫-😀-\u202egpj.exe",
    os.fsdecode(b"\xff\xfe-not-utf-8.jpg"),
    "-rf.jpg",
    "&amp;%20#?.jpg",
]


def hostile(make_report):
    paths = [f"{i}-{name}" for i in range(6) for name in HOSTILE_FILES]
    return make_report(
        HOSTILE_CLASSES,
        paths=paths,
        title="</title><script>alert(4)</script>",
        recipe="<i>",
        settings={"<b>key</b>": "</dd><script>alert(5)</script>", "odd": os.fsdecode(b"\xff")},
        commands=("dl evaluate '</pre><script>alert(6)</script>'",),
    )


def attributes(page):
    """Every (tag, attribute, value) of a page, as a parser sees them."""
    found = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend((tag, name, value) for name, value in attrs)

    Parser().feed(page)
    return found


def test_classes_that_are_numbers_are_shown_by_number(make_report, tmp_path):
    probs = np.eye(3)[[0, 0, 1, 2]]
    report = make_report(["0", "10", "2"], images=4)
    y_true = np.array([0, 1, 1, 2])  # a 10 is taken for a 0
    metrics = evaluate(y_true, probs, report.classes)
    page = page_of(replace(report, y_true=y_true, y_prob=probs, metrics=metrics), tmp_path)
    matrix, scores = (
        [re.sub(r"<[^>]+>", " ", row).split() for row in rows]
        for table in re.findall("<tbody>(.*?)</tbody>", page, re.S)
        if (rows := re.findall("<tr><th.*?</tr>", table, re.S))
    )
    assert matrix == [["0", "1", "0", "0"], ["2", "0", "1", "0"], ["10", "1", "0", "1"]]
    assert [(row[0], row[-1]) for row in scores] == [("0", "1"), ("2", "1"), ("10", "2")]


def page_of(report, folder):
    return write_report(report, folder).read_bytes().decode("utf-8")


def test_it_writes_the_page_and_a_figure_of_everything(make_report, tmp_path):
    page = write_report(make_report(["cat", "dog"]), tmp_path)
    assert page == tmp_path / "report.html"
    assert Run(tmp_path).others() == [tmp_path / "data"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "confusion.png",
        "correct-at-random.png",
        "curves.png",
        "incorrect-at-random.png",
        "most-correct.png",
        "most-incorrect.png",
        "most-uncertain.png",
    ]


def test_it_says_things_in_the_order_of_their_weight(make_report, tmp_path):
    page = page_of(make_report(["cat", "dog", "emu"]), tmp_path)
    headings = re.findall(r"<h[123][^>]*>(.*?)</h[123]>", page)
    assert headings == [
        "202611231409-finetune-e5-lr0.001",
        "Curves",
        "Confusion matrix",
        "Most often confused",
        "Classes",
        "Images",
        "Correct, at random",
        "Incorrect, at random",
        "Most correct of each class",
        "Most incorrect of each class",
        "Most uncertain",
        "Settings",
        "Commands that made this page",
    ]


def test_the_page_needs_nothing_else(page_once):
    page = page_once("hostile", hostile).read_bytes().decode("utf-8")
    loading = {"src", "srcset", "href", "action", "data", "poster", "background"}
    addresses = [value for _, name, value in attributes(page) if name in loading]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "@import" not in page
    assert not re.search(r"url\((?!data:)", page)
    assert "default-src 'none'" in page


def test_the_same_run_gives_the_same_bytes(make_report, tmp_path):
    report = make_report(["cat", "dog"])
    first = page_of(report, tmp_path)
    assert page_of(report, tmp_path) == first
    other = page_of(replace(report, seed=1), tmp_path)
    assert other != first


def test_no_name_can_break_the_page(page_once):
    page = page_once("hostile", hostile).read_bytes().decode("utf-8")
    assert page.count("<script") == 1
    assert [name for _, name, _ in attributes(page) if name.startswith("on")] == []
    assert "&lt;script&gt;alert(" in page
    assert "new\\nline.jpg" in page
    assert "\\udcff\\udcfe-not-utf-8.jpg" in page
    assert "{{ 7 * 7 }}" in page
    assert ">" + 47 * "x" + "…<" in page


def test_pictures_that_are_gone_leave_a_placeholder(make_report, tmp_path):
    report = make_report(["cat", "dog"])
    for path in report.root.iterdir():
        path.unlink()
    page = page_of(report, tmp_path)
    assert page.count("unreadable image") == page.count("the file can't be read") > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"history": ()},
        {"history": [{"epoch": 1, "loss": float("nan")}]},
        {"history": [{"epoch": 1, "loss": 0.5, "phase": "head", "val_loss": ""}]},
        {"settings": {}, "commands": ()},
    ],
)
def test_what_is_not_known_is_left_out(make_report, tmp_path, changes):
    assert "</html>" in page_of(make_report(["cat", "dog"], **changes), tmp_path)


def test_a_thousand_classes_make_a_page_that_still_opens(make_report, tmp_path):
    page = page_of(make_report([f"class {i}" for i in range(1000)], images=1200), tmp_path)
    assert "too many classes for a matrix" in page
    assert len(page) < 4e6


def test_a_perfect_run_says_that_nothing_is_wrong(make_report, tmp_path):
    report = make_report(["cat", "dog"])
    y_prob = (report.y_true[:, None] == [0, 1]).astype(float)
    metrics = evaluate(report.y_true, y_prob, report.classes)
    page = page_of(replace(report, y_prob=y_prob, metrics=metrics), tmp_path)
    assert page.count("No image is misclassified.") == 2


def test_nothing_heavy_comes_with_the_import_and_no_pyplot_ever(tmp_path):
    code = """
import sys
from dlcli.report.photos.run_page import Report, write_report
heavy = {"numpy", "PIL", "matplotlib", "jinja2", "keras"} & set(sys.modules)
assert not heavy, heavy
import numpy
from pathlib import Path
from dlcli.evaluation.metrics import evaluate
y_true, y_prob = numpy.array([0, 1]), numpy.eye(2)
write_report(
    Report(
        "run", "finetune", ["a", "b"], evaluate(y_true, y_prob, ["a", "b"]), y_true, y_prob,
        Path("/nowhere"), ["1.jpg", "2.jpg"], [{"loss": 1.0}],
    ),
    Path(sys.argv[1]),
)
heavy = {"matplotlib.pyplot", "keras", "tensorflow", "sklearn", "rich"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


LONG = [f"a rather long class name {i}" for i in range(14)]
MANY = [f"class {i}" for i in range(40)]
SCREENED = {
    "two": lambda make_report: make_report(["cat", "dog"], images=60),
    "long": lambda make_report: make_report(LONG, images=60),
    "many": lambda make_report: make_report(MANY, images=60),
    "hostile": hostile,
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("kind", ["two", "long", "many", "hostile"])
def test_it_fits_every_screen_in_both_schemes(browser, page_once, kind, width, scheme):
    page = page_once(kind, SCREENED[kind])
    browser.require_fit(page, width, scheme, TEXTS)
    assert browser.run("[...document.images].slice(0, -1).every((i) => i.naturalWidth > 0)")


def test_hostile_names_are_read_as_they_are(browser, page_once):
    browser.open(page_once("hostile", hostile), 1280)
    text = browser.run("document.body.textContent")
    for name in ('<script>alert("class")</script>', "<script>alert(2)<#script>.jpg", "&amp;%20#?"):
        assert name in text
    assert browser.run("document.scripts.length") == 1
    assert browser.run("document.title") == "</title><script>alert(4)</script>"


def test_galleries_work_from_the_keyboard(browser, make_report, tmp_path):
    browser.open(write_report(make_report(["cat", "dog"]), tmp_path), 1280)
    focused = "document.activeElement.closest('li').querySelector('.file').textContent"
    enlarged = "document.querySelector('dialog').open"
    browser.run("document.querySelector('.gallery button').focus()")
    first = browser.run(focused)

    browser.press("ArrowRight")
    second = browser.run(focused)
    browser.press("ArrowLeft")
    assert browser.run(focused) == first != second
    browser.press("ArrowDown")
    browser.press("ArrowUp")
    assert browser.run(focused) == first

    browser.press("Enter")
    assert browser.run(enlarged)
    browser.press("ArrowRight")
    caption = "document.querySelector('dialog .file').textContent"
    assert browser.run(caption) == second
    browser.press("Escape")
    assert not browser.run(enlarged)
    browser.run("new Promise(requestAnimationFrame)")  # the dialog tells of its closing later
    assert browser.run(focused) == second  # one goes on from where one looked

    gallery = "document.activeElement.closest('.gallery').querySelector('h3').textContent"
    assert browser.run(gallery) == "Correct, at random"
    browser.press("Tab")  # a gallery is one stop
    assert browser.run(gallery) == "Incorrect, at random"
    assert browser.complaints() == []
