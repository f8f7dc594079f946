"""`python -m dlcli` and the `dl` entry point."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `dl` on the process's arguments and exit."""
    from dlcli.cli import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
