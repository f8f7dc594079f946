"""This version of `dl` for another machine: its number on the package index, or a wheel of it.

The wheel is written from the package that runs, installed or a checkout, without a build tool.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from dlcli.errors import DlError

NAME = "dlcli"
PACKAGE = Path(__file__).parent.parent
WHEEL = "Wheel-Version: 1.0\nGenerator: dl\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def version() -> str:
    """The version as the installer knows it.

    Raises:
        DlError: the package runs without being installed.
    """
    return _distribution().version


def from_index() -> bool:
    """Whether this installation came from a package index by its name, so that another can.

    Raises:
        DlError: the package runs without being installed.
    """
    found = _distribution()
    # PEP 610: written for whatever was installed from a folder, a file, a URL or a repository
    named = found.read_text("direct_url.json") is None
    return named and Path(str(found.locate_file(NAME))).resolve() == PACKAGE.resolve()


def write_wheel(folder: Path) -> Path:
    """Write the package that runs as a wheel; of the same files the same bytes.

    Args:
        folder: where the wheel is to be.

    Raises:
        DlError: the package runs without being installed.

    Reference: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    found = _distribution()
    about = f"{NAME}-{found.version}.dist-info"
    content = {
        f"{NAME}/{path.relative_to(PACKAGE).as_posix()}": path.read_bytes()
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and not _is_left_out(path.relative_to(PACKAGE))
    }
    for name in ("METADATA", "entry_points.txt"):
        content[f"{about}/{name}"] = (found.read_text(name) or "").encode()
    content[f"{about}/WHEEL"] = WHEEL.encode()
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in content.items()]
    content[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""]).encode()
    wheel = folder / f"{NAME}-{found.version}-py3-none-any.whl"
    with ZipFile(wheel, "w", ZIP_DEFLATED) as archive:
        for name, data in content.items():
            # a ZipInfo has the year 1980, where the file's own time would change the bytes
            entry = ZipInfo(name)
            entry.external_attr = 0o644 << 16
            entry.compress_type = ZIP_DEFLATED
            archive.writestr(entry, data)
    return wheel


def _is_left_out(path: Path) -> bool:
    return "__pycache__" in path.parts or any(part.startswith(".") for part in path.parts)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _distribution() -> Distribution:
    try:
        return distribution(NAME)
    except PackageNotFoundError as error:
        raise DlError(
            "This `dl` can't be brought to another machine",
            why="it runs from a folder without being installed",
            hint="Install it: `pip install -e .` in its checkout.",
        ) from error
