"""A box that was reached before, found again wherever it and this computer are now."""

from __future__ import annotations

import pytest
from support.aws_account import Account
from support.aws_box import rented
from support.sshd import ADDRESS, Sshd, free_port

from dlcli.aws import reach as reach_module
from dlcli.aws.boxes import find_box
from dlcli.aws.cloud import Cloud
from dlcli.aws.host_keys import forget, known
from dlcli.aws.reach import reach, reach_again
from dlcli.aws.ssh import Unreachable, connect
from dlcli.errors import DlError
from dlcli.settings.aws import Aws


def test_a_box_is_found_again_with_its_door_open(
    aws: Account, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = rented(aws, sshd, monkeypatch)
    host = reach_again(Cloud(None, "us-east-1"), "dogs", Aws())
    assert (host.alias, host.address, host.port) == (box, ADDRESS, sshd.port)
    connect(host).close()
    assert "AuthorizeSecurityGroupIngress" in aws.calls


def test_a_computer_without_a_network_waits_for_one(
    aws: Account, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    rented(aws, sshd, monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{ADDRESS}:{free_port()}")
    with pytest.raises(Unreachable, match="AWS cannot be reached"):
        reach_again(Cloud(None, "us-east-1"), "dogs", Aws())


def test_a_box_that_is_gone_is_not_waited_for(
    aws: Account, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = rented(aws, sshd, monkeypatch)
    aws.ec2().terminate_instances(InstanceIds=[box])
    with pytest.raises(DlError, match="There is no box 'dogs'") as error:
        reach_again(Cloud(None, "us-east-1"), "dogs", Aws())
    assert not isinstance(error.value, Unreachable)


def test_a_box_that_has_just_been_started_is_waited_for(
    aws: Account, sshd: Sshd, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rented(aws, sshd, monkeypatch)
    cloud = Cloud(None, "us-east-1")
    box = find_box(cloud, "dogs")
    sshd.stop()
    monkeypatch.setattr(reach_module, "say", lambda text: sshd.start())
    reach(cloud, box, Aws())
    monkeypatch.setattr(reach_module, "BOOT_SECONDS", 0.1)
    sshd.stop()
    monkeypatch.setattr(reach_module, "say", print)
    with pytest.raises(Unreachable, match="cannot be reached"):
        reach(cloud, box, Aws())
    assert "dogs does not answer yet: connection refused" in capfd.readouterr().out


def test_trust_is_not_taken_where_the_console_vouches(
    aws: Account, sshd: Sshd, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    box = rented(aws, sshd, monkeypatch)
    cloud = Cloud(None, "us-east-1")
    forget(box)
    reach(cloud, find_box(cloud, "dogs"), Aws(), trust=True)
    assert known(box) == (sshd.host_key,)
    assert "but not verified" not in capfd.readouterr().err
