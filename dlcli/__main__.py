"""`python -m dlcli` and the `dl` entry point."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper


def main() -> None:
    """Run `dl` on the process's arguments and exit."""
    _open_closed_streams()
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


def _open_closed_streams() -> None:
    """Open the null device for each standard stream that the caller closed.

    Else the next file that is opened gets the stream's number, and messages are written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # it gets the lowest number that is free, which is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, os.fdopen(number, mode))


if __name__ == "__main__":
    main()
