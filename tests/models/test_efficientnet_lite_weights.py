from __future__ import annotations

import os
import pickle
import random
import struct
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dlcli.errors import DlError
from dlcli.models.efficientnet_lite import TORCH_MAGIC, TORCH_PROTOCOL, read_torch_weights


class Global:
    """Pickles as a bare name, as PyTorch's own classes and functions do."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    """Pickles as a call of a name, as any object may."""

    def __init__(self, function: Global, *arguments: object) -> None:
        self.function, self.arguments = function, arguments


class Storage:
    """Pickles as a persistent id, as a tensor's storage does."""

    def __init__(self, kind: str, key: str, n: int) -> None:
        self.pid = ("storage", Global("torch", kind), key, "cpu", n, None)


class Pickler(pickle._Pickler):
    """Python's own pickler, which can be taught to write names that aren't importable."""

    def persistent_id(self, value: object) -> object:
        return value.pid if isinstance(value, Storage) else None

    def save_global_name(self, value: Global) -> None:
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())

    def save_call(self, value: Call) -> None:
        self.save(value.function)
        self.save(value.arguments)
        self.write(pickle.REDUCE)

    dispatch = pickle._Pickler.dispatch | {Global: save_global_name, Call: save_call}


def tensor(key: str, shape: tuple, strides: tuple, n: int, offset: int = 0, kind="FloatStorage"):
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, Storage(kind, key, n), offset, shape, strides, False, OrderedDict())


def write(
    path: Path, tensors: object, storages: dict[str, np.ndarray], magic: int = TORCH_MAGIC
) -> Path:
    with path.open("wb") as file:
        for value in (magic, TORCH_PROTOCOL, {"little_endian": True}, tensors, list(storages)):
            Pickler(file, 2).dump(value)
        for array in storages.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())
    return path


SIX = np.arange(6, dtype="<f4")


def test_tensors_come_back_with_their_shapes_offsets_and_strides(tmp_path: Path):
    tensors = {
        "whole": tensor("a", (2, 3), (3, 1), 6),
        "turned": tensor("a", (3, 2), (1, 3), 6),
        "part": tensor("a", (2,), (1,), 6, offset=4),
        "count": tensor("b", (), (), 1, kind="LongStorage"),
    }
    path = write(tmp_path / "x.pth", tensors, {"a": SIX, "b": np.array([7], "<i8")})
    read = read_torch_weights(path)
    assert read["whole"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert read["part"].tolist() == [4, 5]
    assert read["count"].shape == ()
    assert read["count"] == 7


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("torch", "load")],
)
def test_a_pickle_that_names_anything_but_numbers_is_refused_and_not_run(
    tmp_path: Path, module: str, name: str
):
    ran = tmp_path / "ran"
    attack = Call(Global(module, name), f"touch {ran}")
    for place in ("magic", "tensors"):
        path = tmp_path / f"{place}.pth"
        if place == "magic":
            with path.open("wb") as file:
                Pickler(file, 2).dump(attack)
        else:
            write(path, {"weight": attack}, {})
        with pytest.raises(DlError, match=f"the file asks for {module}.{name}"):
            read_torch_weights(path)
    assert not ran.exists()


def test_an_attack_made_by_pickle_itself_is_refused(tmp_path: Path):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(DlError, match="system"):
        read_torch_weights(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        tensor("a", (7,), (1,), 6),
        tensor("a", (2,), (1,), 6, offset=5),
        tensor("a", (2,), (-1,), 6, offset=5),
        tensor("a", (2,), (1,), 6, offset=-1),
        tensor("a", (10**15,), (0,), 6),
        tensor("a", (2, 2), (1,), 6),
        tensor("a", (2.5,), (1,), 6),
        tensor("a", (2,), (1,), 6, kind="HalfStorage"),
        "no tensor",
    ],
)
def test_a_tensor_that_is_not_within_its_storage_is_refused(tmp_path: Path, wrong: object):
    path = write(tmp_path / "x.pth", {"weight": wrong}, {"a": SIX})
    with pytest.raises(DlError, match="can't be read as PyTorch weights"):
        read_torch_weights(path)


@pytest.mark.parametrize("count", [-1, 7, 10**15, 2**62])
def test_a_storage_that_claims_more_than_the_file_has_is_refused(tmp_path: Path, count: int):
    path = write(tmp_path / "x.pth", {"weight": tensor("a", (6,), (1,), 6)}, {"a": SIX})
    path.write_bytes(path.read_bytes()[: -SIX.nbytes - 8] + struct.pack("<q", count) + bytes(24))
    with pytest.raises(DlError, match="it is truncated"):
        read_torch_weights(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 a newer file is a zip", b"\x89PNG\r\n", b"weights\n", bytes(99)]
)
def test_what_is_not_a_weights_file_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(DlError, match=r"x\.pth can't be read"):
        read_torch_weights(path)


def test_a_pickle_that_asks_for_gigabytes_is_refused_before_it_gets_them(tmp_path: Path):
    path = tmp_path / "x.pth"
    path.write_bytes(pickle.PROTO + b"\x02K\x01" + pickle.LONG_BINPUT + b"\xff\xff\xff\x7f.")
    with pytest.raises(DlError, match="more memory"):
        read_torch_weights(path)


def test_a_pickle_of_another_kind_is_refused(tmp_path: Path):
    path = write(tmp_path / "x.pth", {}, {}, magic=1)
    with pytest.raises(DlError, match="not in PyTorch's old format"):
        read_torch_weights(path)


def test_a_file_cut_short_or_damaged_anywhere_is_refused_or_still_read(tmp_path: Path):
    path = write(tmp_path / "x.pth", {"weight": tensor("a", (2, 3), (3, 1), 6)}, {"a": SIX})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DlError):
            read_torch_weights(path)
    rng = random.Random(0)
    for _ in range(1000):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        with suppress(DlError):
            read_torch_weights(path)
