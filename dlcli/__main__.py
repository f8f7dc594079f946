"""`python -m dlcli` and the `dl` entry point."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def main() -> None:
    """Run `dl` on the process's arguments and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # characters that the terminal's encoding lacks become escapes
            stream.reconfigure(errors="backslashreplace")
    try:
        from dlcli.cli import main as run

        code = run()
    except KeyboardInterrupt:  # before the command line handles it
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
