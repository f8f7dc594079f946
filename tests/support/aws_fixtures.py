"""What tests of `dl aws` get: a simulated account, and no way beyond this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.aws_account import Account
from support.aws_simulator import Simulator
from support.loopback import loopback_only
from support.sshd import Sshd, serving

from dlcli.aws import ssh
from dlcli.aws.boxes import Box
from dlcli.aws.copy import copy
from dlcli.aws.order import forget_order


@pytest.fixture(autouse=True)
def loopback_alone() -> Iterator[list[str]]:
    """Fail every test that connects to anything but this machine."""
    with loopback_only() as tried:
        yield tried


@pytest.fixture
def aws(simulator: Simulator, home: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    """A fresh account in us-east-1, with credentials that are worth nothing."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "BOTO_"))]:
        monkeypatch.delenv(name)
    account = simulator.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", simulator.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", simulator.stub_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", simulator.stub_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # boto3 waits between its own attempts
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))  # prices are kept there for a day
    account.image = account.seed_image()
    monkeypatch.setattr("dlcli.aws.vpc.my_address", lambda: account.address)
    return account


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A real sshd on this machine, with throwaway keys and a home of its own."""
    with serving(tmp_path / "a box") as server:
        yield server


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> list[Box]:
    """The boxes that `up` would set up over ssh, which the simulator has none of."""
    found: list[Box] = []

    def arrive(cloud: object, box: Box, *rest: object, **how: bool) -> None:
        found.append(box)
        forget_order(box.region, box.name)

    monkeypatch.setattr("dlcli.aws.reach.arrive", arrive)
    return found


@pytest.fixture
def cats(home: Path, monkeypatch: pytest.MonkeyPatch, arrived: list[Box]) -> Path:
    """A project, whose name a box takes."""
    folder = home / "cats"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for EC2's slowness doesn't wait: the simulator is at once up to date."""
    monkeypatch.setattr("dlcli.aws.order.SETTLE_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks for a connection again does so at once: this machine is not far away."""
    monkeypatch.setattr(ssh, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(copy, "time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment, of which a box's home gets a copy."""
    folder = tmp_path_factory.mktemp("template") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    # Python 3.11 brings it, wheels need none, and each copy would copy its 900 files
    pip = [folder / "bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "uninstall", "--yes", "setuptools"], check=True, stderr=subprocess.PIPE)
    return folder
