"""Where figures go: one JSON per benchmark, and `docs/benchmarks.md` made of all of them."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Result:
    """One benchmark's answer.

    Args:
        title: the question.
        text: how it was measured, and what to make of it.
        header, rows: the table.
        budget: what it is held to.
        met: whether it is.
    """

    title: str
    text: str
    header: list[str]
    rows: list[list[str]]
    budget: str
    met: bool


def keep(name: str, result: Result) -> None:
    """Write one result, and the page anew."""
    RESULTS.mkdir(exist_ok=True)
    kept = asdict(result) | {"machine": machine(), "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    write_page()


def write_page() -> None:
    """`docs/benchmarks.md` from every result there is."""
    intro = (
        "# Benchmarks\n\n"
        "`make bench` makes this page (`python -m bench [NAME...]` runs some benchmarks) and keeps "
        "its figures in `bench/results/`. Times on shared machines vary, so trust the ratios "
        "within one benchmark. *Interleaved* means that the compared programs take turns. A "
        "*budget* is the limit that a benchmark has to keep; a goal is a stricter one.\n"
    )
    parts = [intro]
    for file in sorted(RESULTS.glob("*.json")):
        kept = json.loads(file.read_text())
        table = [kept["header"], ["---"] * len(kept["header"]), *kept["rows"]]
        lines = "\n".join("| " + " | ".join(row) + " |" for row in table)
        met = "met" if kept["met"] else "**not met yet**"
        parts.append(
            f"\n## {kept['title']}\n\n{kept['text']}\n\n{lines}\n\n"
            f"Budget ({met}): {kept['budget']}.\n\n"
            f"*{kept['date']}, {kept['machine']}. `python -m bench {file.stem}`*\n"
        )
    PAGE.write_text("".join(parts))


def machine() -> str:
    """The machine in words."""
    model = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
        flags = info.read_text()
        wide = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags]
        model += f" ({', '.join(wide)})" if wide else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, CPython {python}"
