"""How long until `dl` answers at all?"""

from __future__ import annotations

from statistics import median

from bench.commands import fresh_home, run
from bench.report import Result

TIMES = 15


def measure() -> Result:
    """Whole processes, interleaved, medians."""
    peers = {
        "python -c pass": ("-c", "pass"),
        "python -c 'import click'": ("-c", "import click"),
        "dl --help": ("-m", "dlcli", "--help"),
        "dl train --help": ("-m", "dlcli", "train", "--help"),
        "dl train finetune --help": ("-m", "dlcli", "train", "finetune", "--help"),
        "dl --version": ("-m", "dlcli", "--version"),
    }
    times: dict[str, list[float]] = {name: [] for name in peers}
    with fresh_home() as home:
        for _ in range(TIMES):
            for name, command in peers.items():
                times[name].append(run(home, python=command)[0] * 1000)
    click = median(times["python -c 'import click'"])
    rows = [[n, f"{median(t):.0f}", f"{median(t) / click:.2f}"] for n, t in times.items()]
    ours = [median(times[name]) for name in peers if name.startswith("dl")]
    return Result(
        "Start-up",
        f"Whole processes, median of {TIMES}, interleaved.",
        ["command", "ms", "times `import click`"],
        rows,
        "150 ms, and within twice `python -c 'import click'`",
        max(ours) <= 150 and max(ours) <= 2 * click,
    )
