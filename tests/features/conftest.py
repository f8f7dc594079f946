"""A tiny network in place of a real one, and a dataset for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.dot_images import CHUNK, TinyEngine, paint

from dlcli.features import compute


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> TinyEngine:
    """A tiny network in place of a real one, and chunks of four rows."""
    engine = TinyEngine()
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody pulls the plug here
    monkeypatch.setattr(compute, "start_engine", engine.start)
    monkeypatch.setattr(compute, "CHUNK_ROWS", CHUNK)
    return engine


@pytest.fixture
def root(home: Path) -> Path:
    """14 images to train on, 5 to validate, 3 to test; each of its own colour."""
    root = home / "data" / "dots"
    for number in range(14):
        paint(root / "train" / "ab"[number % 2] / f"{number:02}.bmp", number)
    for number in range(14, 19):
        paint(root / "valid" / "ab"[number % 2] / f"{number}.bmp", number)
    for number in range(3):
        paint(root / "test" / f"{number}.bmp", 100 + number)
    return root
