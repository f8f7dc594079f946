"""`python -m bench [NAME...]`: run benchmarks, and bring `docs/benchmarks.md` up to date."""

from __future__ import annotations

import sys
from importlib import import_module

from bench.report import keep

# Quick ones first.
NAMES = (
    "startup",
    "split",
    "runs",
    "predict",
    "head",
    "memory",
    "from_disk",
    "features_vgg16",
    "features",
    "everyday",
    "digits",
    "many_ratings",
    "ladder",
    "ratings",
    "accuracy",
)


def main() -> None:
    """Run those named, or all."""
    for name in sys.argv[1:] or NAMES:
        print(f"== {name}", flush=True)
        result = import_module(f"bench.{name}").measure()
        keep(name, result)
        for row in [result.header, *result.rows]:
            print("  ".join(row), flush=True)


if __name__ == "__main__":
    main()
