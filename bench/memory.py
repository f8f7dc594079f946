"""Does the memory of `dl features` grow with the number of images?"""

from __future__ import annotations

import os
import shutil

from bench.commands import fresh_home, photos, run
from bench.report import Result

PEAK = """
import resource, sys
from dlcli.cli import main
code = main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
sys.exit(code)
"""


def measure() -> Result:
    """Peak resident memory on 500, 1,000 and 2,000 photos; conv features, which are large."""
    rows, peaks = [], []
    with fresh_home() as home:
        for count in (500, 1000, 2000):
            for kind in ("cat", "dog"):
                folder = home / "data" / f"n{count}" / "train" / kind
                folder.mkdir(parents=True)
                for file in sorted((photos() / "train").glob(f"{kind}.*"))[: count // 2]:
                    shutil.copy(file, folder)
            words = ("features", "-d", f"n{count}", "--layer", "conv")
            if count == 500:
                run(home, *words)  # the network's export is not what is asked for
                shutil.rmtree(home / "data" / "n500" / "features")
            _, out = run(home, *words, python=("-c", PEAK))
            peaks.append(int(out.split("peak ")[1]))
            size = count * 10 * 10 * 1280 * 4 / 2**20
            rows.append([f"{count:,}", f"{size:.0f}", f"{peaks[-1]}"])
    assert os.name == "posix"  # ru_maxrss is in KiB there
    return Result(
        "Memory of `dl features`",
        "Peak resident memory of the process, layer `conv` (10x10x1280 numbers per image).",
        ["images", "features, MiB", "peak, MiB"],
        rows,
        "constant in the number of images",
        max(peaks) - min(peaks) < 64,
    )
