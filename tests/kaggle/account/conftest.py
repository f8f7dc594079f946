"""Kaggle on this machine with a competition, and an account that may ask about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kaggle_competition import Competition
from support.kaggle_package import kaggle_serving
from support.kaggle_scoring import log_loss_of
from support.kaggle_server import KaggleServer
from support.two_pictures import SLUG, SURE

from dlcli.kaggle import account as account_module
from dlcli.kaggle.account import Kaggle, open_kaggle


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    monkeypatch.setattr(account_module, "DELAYS", (0.01, 0.01))
    with kaggle_serving(monkeypatch) as server:
        files = {"sample_submission.csv": SURE, "train/cat.1.jpg": b"cat" * 100}
        server.add(Competition(SLUG, log_loss_of({"1": "dog", "2": "cat"}, "dog"), files))
        yield server


@pytest.fixture
def account(server: KaggleServer) -> Kaggle:
    opened = open_kaggle()
    server.calls.clear()
    return opened


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "1a2b3c4d.csv"
    path.write_bytes(SURE)
    return path
