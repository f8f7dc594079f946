"""What takes seconds to prepare and many a test begins with: prepared once, copied to the others.

A training is the same for the same words, in the same home. So a home is known by its files, and
what became of it is kept: another test that would do the same gets a copy, in its own home.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Hashable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from support.command_result import Result

from dlcli.backend import chosen_backend

Once = Callable[[Hashable, Callable[[], Result]], Result]


class Prepared:
    """Homes as something left them, and what was said meanwhile.

    Args:
        folder: where they are kept; processes that run tests side by side may have it in common.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def once(self, home: Path, what: Hashable, make: Callable[[], Result]) -> Result:
        """Do it in the first home that wants it; to others like that one, copy what came of it.

        Args:
            home: the test's own, wholly: of what is done elsewhere nothing is kept.
            what: is done. What it depends on is here, in the home's files, or in a setting.
            make: does it.
        """
        key = repr((what, _settings(home), _digest(home)))
        kept = self._folder / sha256(key.encode()).hexdigest()
        if not kept.is_dir():
            result = make()
            self._keep(home, kept, result)
            return result
        for path in home.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        _copy(kept / "home", home)
        first, code, *said = json.loads((kept / "said.json").read_text())
        _rename(home, first, str(home))
        out, err = (text.replace(first, str(home)) for text in said)
        return Result(code, out, err)

    def _keep(self, home: Path, kept: Path, result: Result) -> None:
        """Put it there whole, unless another process was quicker."""
        with TemporaryDirectory(dir=self._folder) as folder:
            made = Path(folder) / kept.name
            _copy(home, made / "home")
            said = [str(home), result.exit_code, result.stdout, result.stderr]
            (made / "said.json").write_text(json.dumps(said))
            with suppress(OSError):
                made.rename(kept)


def _settings(home: Path) -> Hashable:
    """Of the environment, what a command may obey."""
    names = [name for name in os.environ if name.startswith("DL_") or name == "SMALL_BACKBONE"]
    return chosen_backend(), *((name, _homeless(name, home)) for name in sorted(names))


def _homeless(name: str, home: Path) -> str:
    return os.environ[name].replace(str(home), "~")


def _digest(home: Path) -> str:
    """Of names and contents, wherever the home lies."""
    digest, own = sha256(), os.fsencode(home)
    for path in sorted(home.rglob("*")):
        content = path.read_bytes().replace(own, b"~") if path.is_file() else b""
        digest.update(b"%b\0%d\0" % (os.fsencode(path.relative_to(home)), len(content)))
        digest.update(content)
    return digest.hexdigest()


def _copy(source: Path, target: Path) -> None:
    """Copy a folder with all times; what was one file of two names is one again."""
    names: dict[int, str] = {}

    def copy(one: str, other: str) -> None:
        status = os.stat(one)
        if status.st_nlink > 1 and status.st_ino in names:
            os.link(names[status.st_ino], other)
        else:
            shutil.copy2(one, other)
            names[status.st_ino] = other

    shutil.copytree(source, target, symlinks=True, copy_function=copy, dirs_exist_ok=True)


def _rename(folder: Path, before: str, after: str) -> None:
    """Say it in all texts of a folder, whose times stay."""
    old, new = os.fsencode(before), os.fsencode(after)
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if old in content and b"\0" not in content:
            status = path.stat()
            path.write_bytes(content.replace(old, new))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
