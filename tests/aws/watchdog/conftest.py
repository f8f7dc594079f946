"""What tests of the watchdog get: a box, and a Jupyter server on it.

The watchdog runs in a real shell, among programs that answer as the test wants; no shutdown is a
true one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.jupyter_server import Jupyter, serving
from support.watchdog_box import Box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "box")


@pytest.fixture
def jupyter(box: Box) -> Iterator[Jupyter]:
    with serving(box.home) as jupyter:
        yield jupyter
