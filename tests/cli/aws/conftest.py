"""What tests of the commands of `dl aws` get: what those of `dlcli.aws` do."""

from __future__ import annotations

from support.aws_fixtures import (
    arrived,
    aws,
    cats,
    loopback_alone,
    patient,
    settled,
    sshd,
)

__all__ = ["arrived", "aws", "cats", "loopback_alone", "patient", "settled", "sshd"]
