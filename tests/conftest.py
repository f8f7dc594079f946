"""What every test gets: a home of its own, and `dl(...)` as a user would type it."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from support.command_result import Dl, Result
from support.forked_commands import Forks
from support.missing_tools import REQUIRE_ALL, missing
from support.package_times import (  # noqa: F401 - hooks, found here by their names
    pytest_addoption,
    pytest_terminal_summary,
)
from support.pictures import make_dataset
from support.prepared_homes import Once, Prepared

if TYPE_CHECKING:
    from support.aws_simulator import Simulator

SHARED_CACHE = Path(os.environ.get("DL_TEST_CACHE", Path.home() / ".cache" / "dl-tests"))

LARGE_BYTES = 300 << 20

# A full collection looks at a million objects of TensorFlow's, botocore's and the simulator's, and
# took a quarter of the suite: `let_go` collects, once there is something to be had.
gc.set_threshold(700, 10, 1_000_000)

# Where everything is required the examples are the same each time, so that a change fails for what
# it changed; elsewhere each call looks for new ones. A busy machine's seconds prove nothing.
settings.register_profile("dl", deadline=None, derandomize=REQUIRE_ALL)
settings.load_profile("dl")


# What a shell starts in the background ignores Ctrl-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def unsynced(descriptor: int) -> None:
    """In the place of `os.fsync`: nobody pulls the plug here, and a kill leaves the page cache."""
    os.fstat(descriptor)  # a file that is closed is refused here, too


# Tests that kill at every step waited for the disk longer than they worked.
os.fsync = unsynced


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that fork go first: beside TensorFlow's threads and memory a fork is slow and frail.

    Among them those of the simulated account go last. A fork copies the tables of all memory: 3 ms
    at 80 MB, 9 ms with scikit-learn loaded, 20 ms with the account too. So a test module imports
    what is large in its tests, not at its top.
    """

    def order(item: pytest.Item) -> int:
        if item.get_closest_marker("forks") is None:
            return 2
        return int("simulator" in getattr(item, "fixturenames", ()))

    items.sort(key=order)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Names for homes, without end: pytest would look for a free one among all that there are."""
    folder = tmp_path_factory.mktemp("homes", numbered=False)
    return (folder / f"home{number}" for number in count())


@pytest.fixture(autouse=True)
def home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home folder; nothing of the user's is read or written.

    Only networks exported for OpenVINO are kept between tests: they are the same every time, and
    take seconds to make.
    """
    home = next(homes)
    home.mkdir(0o700)
    for name in [name for name in os.environ if name.startswith(("DL_", "KAGGLE_", "XDG_"))]:
        if name not in ("DL_TEST_DATA", "DL_REQUIRE_ALL"):
            monkeypatch.delenv(name)
    # users' machines keep bytecode: else each process that a test starts compiles what it imports
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(SHARED_CACHE))
    monkeypatch.setenv("KERAS_HOME", str(home / ".keras"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(home)
    return home


@pytest.fixture(scope="session")
def held() -> list[int]:
    """The memory in use when it was last given back."""
    return [resident_bytes()]


@pytest.fixture(autouse=True)
def let_go(held: list[int]) -> Iterator[None]:
    """Give back what tests' networks took: two workers with VGG16 each would fill a machine."""
    yield
    if resident_bytes() > held[0] + LARGE_BYTES:
        if "keras" in sys.modules:
            sys.modules["keras"].backend.clear_session()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        held[0] = resident_bytes()


def resident_bytes() -> int:
    """The memory that this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def dl(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `dl` in this process: `dl("data", "split", path)`; answers with code and output."""

    def run(*arguments: object) -> Result:
        from dlcli.cli import main

        words = [os.fspath(a) if isinstance(a, os.PathLike) else str(a) for a in arguments]
        monkeypatch.setattr(sys, "argv", ["dl", *words])
        capfd.readouterr()
        with monkeypatch.context() as environment:
            environment.setenv("DL_DEBUG", "")  # `--debug` sets it for the process
            code = main(words)
        out, err = capfd.readouterr()
        return Result(int(code), out, err)

    return run


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """What tests have in common to begin with, those of the other workers too."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prepared"
    folder.mkdir(exist_ok=True)
    return Prepared(folder)


@pytest.fixture
def once(home: Path, prepared: Prepared) -> Once:
    """Do in this home what has a name, or copy into it what came of it in another."""
    return partial(prepared.once, home)


@pytest.fixture
def dl_once(dl: Dl, home: Path, once: Once) -> Dl:
    """`dl`, where it takes seconds and is only what a test begins with: see `once`."""

    def run(*arguments: object) -> Result:
        words = tuple(str(each).replace(str(home), "~") for each in arguments)
        return once(words, lambda: dl(*arguments))

    return run


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """The servers of a simulated AWS account, once for all tests of a process."""
    from support.aws_simulator import simulating

    with simulating() as servers:
        yield servers


@pytest.fixture(scope="session")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """What forks processes for the tests of this one; it begins with the first."""
    forks = Forks(tmp_path_factory.mktemp("forks"))
    yield forks
    forks.stop()


@pytest.fixture
def forks(forking: Forks, small_backbone: None) -> Forks:
    """`dl` in processes of its own, which has the small backbone."""
    return forking


@pytest.fixture
def bound(forks: Forks) -> Dl:
    """`dl` in a process that permissions bind, root's too."""
    return partial(forks.run, first="drop_rights()")


@pytest.fixture
def small_backbone(
    request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small network in the place of the embedded one, in processes that the test starts too."""
    if request.node.get_closest_marker("pretrained"):
        return
    from support.small_backbone import HERE, NAME, row, weights_in

    from dlcli.models.backbones import BACKBONES

    weights = weights_in(SHARED_CACHE)
    monkeypatch.setitem(BACKBONES, NAME, row(weights))
    monkeypatch.setenv("SMALL_BACKBONE", str(weights))
    monkeypatch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{HERE.parent.parent}")


@pytest.fixture
def tiny(home: Path) -> Path:
    """A dataset to train on in a second: two classes, 16 images and 8 to judge on."""
    return make_dataset(home / "data" / "tiny", train=8, valid=4)


@pytest.fixture
def short_course(home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset, settings that make each step quick, and a course of two steps."""
    from support.small_ladder import STEPS

    from dlcli.experiments import ladder
    from dlcli.experiments.ladder import Rung
    from dlcli.files.formats import write_yaml

    quick = {"schedule": "1e-3x2", "batch_size": 4}
    write_yaml(home / "dl.yaml", {"image_size": 64, "train": dict.fromkeys(STEPS, quick)})
    monkeypatch.setattr(ladder, "RUNGS", tuple(map(Rung, STEPS)))
    return tiny


@pytest.fixture
def datasets(home: Path) -> Path:
    """A data folder with three datasets: dogscats, dogscats-sample and fish."""
    for name in ("dogscats", "dogscats-sample", "fish"):
        folder = home / "data" / name / "train" / "cat"
        folder.mkdir(parents=True)
        (folder / "1.jpg").touch()
    return home / "data"


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def real_data() -> Path:
    """The folder of real photos, `DL_TEST_DATA`; the test skips where it isn't set."""
    folder = os.environ.get("DL_TEST_DATA")
    if not folder:
        missing("DL_TEST_DATA is not set: no real photos to test on")
    return Path(folder)


@pytest.fixture
def require_tool() -> Callable[[str], str]:
    """A program's path; the test skips where it is missing, and fails where all is required."""

    def find(name: str) -> str:
        return shutil.which(name) or missing(f"{name} is not installed")

    return find
