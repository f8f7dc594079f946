"""Reports to look at, and a real browser to look with."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.missing_tools import missing

from dlcli.evaluation.metrics import evaluate
from dlcli.report.photos.run_page import Report, write_report

SWITCHES = (
    "--headless",
    "--no-sandbox",  # it would refuse to run as root, as it does in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-pipe",
)

CONTRAST = """(() => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = luminance(getComputedStyle(document.body).backgroundColor);
  const of = (element) => {
    const style = getComputedStyle(element);
    const ink = luminance(element instanceof SVGElement ? style.fill : style.color);
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  };
  return Math.min(...[...document.querySelectorAll(%s)].map(of));
})()"""


class Browser:
    """One Chromium with one page, spoken to in the Chrome DevTools Protocol over a pipe.

    Args:
        process: the browser.
        requests: the pipe it reads, answers: the pipe it writes; messages end with a zero byte.
    """

    def __init__(self, process: subprocess.Popen[bytes], requests: int, answers: int) -> None:
        self.process = process
        self._requests, self._answers = os.fdopen(requests, "wb", 0), os.fdopen(answers, "rb")
        self._pending = b""
        self._count = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; what happens meanwhile joins `events`."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._requests.write(json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._count:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer}"
        return dict(answer["result"])

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            more = self._answers.read1(1 << 20)
            assert more, f"the browser has gone, exit code {self.process.poll()}"
            self._pending += more
        message, self._pending = self._pending.split(b"\0", 1)
        return dict(json.loads(message))

    def open(self, page: Path, width: int, height: int = 900, scheme: str = "light") -> None:
        """Load a page in a window of that many CSS pixels."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Emulation.setScrollbarsHidden", hidden=True)
        self.call(
            "Emulation.setEmulatedMedia",
            features=[
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ],
        )
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def run(self, expression: str) -> Any:
        """Evaluate JavaScript in the page; promises are waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def least_contrast(self, selector: str) -> float:
        """The least contrast with the page's ground among the texts that a CSS selector names."""
        return float(self.run(CONTRAST % json.dumps(selector)))

    def require_fit(self, page: Path, width: int, scheme: str, texts: str) -> None:
        """Load a page that fits its window, needs nothing else, and whose texts can be read."""
        self.open(page, width, scheme=scheme)
        assert self.run("document.documentElement.scrollWidth") == width
        assert self.complaints() == []
        assert self.requested() == [page.as_uri()]
        dark = self.run("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
        assert dark == (scheme == "dark")
        assert self.least_contrast(texts) >= 4.5  # WCAG 2.2, level AA

    def press(self, key: str) -> None:
        """Press and release a key, as a person does."""
        text = {"Enter": "\r"}.get(key, "")
        code = {"Tab": 9, "Enter": 13, "Escape": 27}.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def complaints(self) -> list[str]:
        """Whatever the console was told, or would show in red, since the page was opened."""
        self.run("0")  # its answer comes after what was still under way
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [json.dumps(event["params"]) for event in self.events if event["method"] in kinds]

    def requested(self) -> list[str]:
        """Every address that was asked for since the page was opened, `data:` left out."""
        urls = [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Save a PNG of the page, or of what the window shows."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture
def make_report(tmp_path: Path) -> Callable[..., Report]:
    """Build a report on real little pictures: `make_report(classes=["cat", "dog"], images=30)`.

    Further keywords replace fields of the report; `paths` are made as pictures too, if possible.
    """
    return maker_in(tmp_path)


def maker_in(folder: Path) -> Callable[..., Report]:
    """What `make_report` is; the pictures lie in `data` in the folder."""

    def make(classes: Sequence[str], images: int = 30, **changes: Any) -> Report:
        root = folder / "data"
        root.mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        paths = changes.setdefault("paths", [f"{i}.png" for i in range(images)])
        for name in paths:
            pixels = rng.integers(0, 256, (80, 100, 3), np.uint8)
            Image.fromarray(pixels).save(root / name, "png", compress_level=1)
        y_true = rng.integers(0, len(classes), len(paths))
        y_prob = rng.dirichlet(np.full(len(classes), 0.5), len(paths))
        y_prob[np.arange(len(paths)), y_true] += 0.6
        y_prob /= y_prob.sum(axis=1, keepdims=True)
        history = [
            {"epoch": i, "loss": 1 / i, "accuracy": 1 - 0.3 / i, "val_loss": 1.1 / i}
            | {"val_accuracy": 1 - 0.4 / i, "learning_rate": 1e-3}
            for i in range(1, 6)
        ]
        fields: dict[str, Any] = {
            "title": "202611231409-finetune-e5-lr0.001",
            "recipe": "finetune",
            "classes": classes,
            "metrics": evaluate(y_true, y_prob, classes),
            "y_true": y_true,
            "y_prob": y_prob,
            "root": root,
            "history": history,
            "settings": {"backbone": "efficientnet-lite0", "augment": False, "seed": 0},
            "commands": ("dl rerun 202611231409-finetune-e5-lr0.001",),
        }
        return Report(**fields | changes)

    return make


@pytest.fixture(scope="module")
def page_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a page once for all tests that look at it: `page_once("two", build)`.

    `build` is given what `make_report` is.
    """

    @cache
    def written(name: str, build: Callable[[Callable[..., Report]], Report]) -> Path:
        folder = tmp_path_factory.mktemp("pages")
        return write_report(build(maker_in(folder)), folder)

    return written


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium for the whole session."""
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("chromium is not installed: apt-get install chromium")
    # the browser reads descriptor 3 and writes 4; kept clear of both until it starts
    (to_read, requests), (answers, to_write) = map(_high, (os.pipe(), os.pipe()))

    def descriptors() -> None:
        os.dup2(to_read, 3)
        os.dup2(to_write, 4)

    profile = tmp_path_factory.mktemp("chromium")
    with subprocess.Popen(
        [chromium, *SWITCHES, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=descriptors,
        pass_fds=(3, 4),
    ) as process:
        os.close(to_read)
        os.close(to_write)
        browser = Browser(process, requests, answers)
        yield browser
        browser.call("Browser.close")


def _high(pair: tuple[int, int]) -> tuple[int, ...]:
    moved = tuple(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20) for descriptor in pair)
    for descriptor in pair:
        os.close(descriptor)
    return moved
