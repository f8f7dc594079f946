"""A home folder for the bootstrap to set up: true Python, true pip, packages from a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from dlcli.aws import setup

SCRIPT = setup.BOX / "bootstrap.sh"
VERSION = "9.9.9"
FAKES = {
    # a virtual environment that was made before is copied: making one takes seconds
    "python3.12": 'if [ "$*" = "-m venv $HOME/.dl/venv" ]; then cp -a {template} "$3"; '
    'else exec {python} "$@"; fi',
    "sudo": 'echo "$*" >>"$FAKE/sudos"',
    "loginctl": "exit 1",
    "cloud-init": 'echo "$*" >>"$FAKE/cloud-inits"',
    # is-active: whether it was started
    "systemctl": 'echo "$*" >>"$FAKE/systemctls"; case $* in '
    '*is-active*) grep -q "restart $4" "$FAKE/systemctls";; esac',
}


class BoxHome:
    """A home folder, an index of packages, and programs that note how they were called."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder, self.home, self.bin = folder, folder / "home of mine", folder / "bin"
        self.index = folder / "index"
        for made in (self.home, self.bin, self.index):
            made.mkdir(parents=True)
        for name, script in FAKES.items():
            filled = script.replace("{template}", str(template)).replace("{python}", sys.executable)
            self.fake(name, filled)
        for package in ("jupyterlab", "tensorflow", "tensorboard"):
            write_package(self.index, package, "1.0")
        write_package(self.index, "dlcli", VERSION)

    def fake(self, name: str, script: str) -> None:
        """Have a program do something else."""
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    @property
    def environ(self) -> dict[str, str]:
        """What a program that runs there finds in its environment."""
        return {
            "HOME": str(self.home),
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "FAKE": str(self.folder),
            "TMPDIR": str(self.folder),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def run(self, argv: Sequence[str], stdin: bytes = b"") -> tuple[int, str, str]:
        """Run a program as ssh would, in the home folder."""
        done = subprocess.run(
            argv, input=stdin, capture_output=True, env=self.environ, cwd=self.home, timeout=120
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def wheel(self, version: str = VERSION) -> str:
        """The wheel of dlcli that this computer would send."""
        return str(self.index / f"dlcli-{version}-py3-none-any.whl")

    def set_up(self, version: str = VERSION, wheel: str = "") -> tuple[int, list[str]]:
        """Run the bootstrap; its exit code, and the steps that it said."""
        code, out, err = self.run(["bash", str(SCRIPT), version, wheel or self.wheel(version)])
        assert err == ""
        return code, out.splitlines()

    def noted(self, name: str) -> list[str]:
        """How a program was called."""
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []

    @property
    def log(self) -> str:
        """All that the bootstrap did."""
        return (self.home / ".dl/bootstrap.log").read_text()

    def dl(self) -> str:
        """What `dl` prints over there."""
        return self.run([str(self.home / ".local/bin/dl")])[1].strip()


def write_package(folder: Path, name: str, version: str, says: str = "") -> Path:
    """A wheel of a module and a program that prints its version, and whatever `says`."""
    wheel, about = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    program = {"dlcli": "dl"}.get(name, name)
    extras = (
        "Provides-Extra: gpu\nRequires-Dist: tensorflow; extra == 'gpu'\n"
        "Provides-Extra: tensorboard\nRequires-Dist: tensorboard; extra == 'tensorboard'\n"
    )
    contents = {
        f"{name}.py": f"def main(): print('{name} {version} {says}')\n",
        f"{about}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            f"{extras if name == 'dlcli' else ''}"
        ),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[console_scripts]\n{program} = {name}:main\n",
        f"{about}/RECORD": "",
    }
    with ZipFile(wheel, "w") as archive:
        for path, content in contents.items():
            archive.writestr(ZipInfo(path), content)  # with no time: the same bytes each time
    return wheel
