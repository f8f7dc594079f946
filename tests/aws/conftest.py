"""What tests of `dlcli.aws` get: a simulated account, and no way beyond this machine."""

from __future__ import annotations

from support.aws_fixtures import (
    arrived,
    aws,
    cats,
    loopback_alone,
    patient,
    settled,
    sshd,
    template,
)

__all__ = ["arrived", "aws", "cats", "loopback_alone", "patient", "settled"]
__all__ += ["sshd", "template"]
