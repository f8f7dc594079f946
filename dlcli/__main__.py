"""`python -m dlcli` and the `dl` entry point."""

from __future__ import annotations

import sys
from io import TextIOWrapper


def main() -> None:
    """Run `dl` on the process's arguments and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # a name that the terminal's encoding lacks is shown as an escape
            stream.reconfigure(errors="backslashreplace")
    try:
        from dlcli.cli import main as run

        code = run()
    except KeyboardInterrupt:  # before the command line could answer it
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
