"""What a command loads: a process of its own, asked at its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys

BACKENDS = {"keras", "tensorflow", "jax", "torch", "openvino"}
HEAVY = {
    *("numpy", "scipy", "sklearn", "matplotlib", "PIL", "jinja2"),
    *("boto3", "paramiko", "rich", "yaml", "importlib.metadata"),
    *("bcolz", "simplejpeg", "cv2", *BACKENDS),
}
RUN = """
import atexit, json, os, sys
atexit.register(lambda: print("\\nLOADED " + json.dumps(sorted(sys.modules))))
from dlcli.__main__ import main
sys.argv[0] = "dl"
main()
"""


def loaded(*arguments: str, environ: dict[str, str] | None = None) -> tuple[set[str], str]:
    """The heavy modules that a command has loaded, and its output."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env=os.environ | (environ or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output, _, modules = done.stdout.rpartition("\nLOADED ")
    return HEAVY & set(json.loads(modules)), output
