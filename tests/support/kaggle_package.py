"""The real `kaggle` package in this process, led to a server on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.kaggle_server import KEY, USER, KaggleServer
from support.loopback import loopback_only


def forget_kaggle() -> None:
    """Let the next `import kaggle` look for credentials anew, in the environment and home as now.

    What it reads while its classes are defined, the configuration's folder among it, is read anew.
    """
    for name in [name for name in sys.modules if name == "kaggle" or name.startswith("kaggle.")]:
        del sys.modules[name]


@contextmanager
def kaggle_serving(environ: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """Kaggle while the block runs, for the `kaggle` package of this process, and nothing beyond.

    The user has a legacy key in the environment; a test may take it away, then `forget_kaggle`.
    """
    import kagglesdk.kaggle_env as sdk

    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        environ.delenv(name)
    environ.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    environ.setenv("KAGGLE_USERNAME", USER)
    environ.setenv("KAGGLE_KEY", KEY)
    server = KaggleServer()
    environ.setitem(sdk._env_to_endpoint, sdk.KaggleEnv.LOCAL, server.url)
    forget_kaggle()
    try:
        with loopback_only():
            yield server
    finally:
        forget_kaggle()
        server.stop()
    assert server.faults == []
