"""What a test needs and a machine may lack."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRE_ALL = os.environ.get("DL_REQUIRE_ALL") == "1"


def missing(what: str) -> NoReturn:
    """Skip the test, and say why; fail it where everything is required."""
    if REQUIRE_ALL:
        pytest.fail(f"{what}, and DL_REQUIRE_ALL=1 asks for it")
    pytest.skip(what)
