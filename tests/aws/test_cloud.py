"""Whose account it is, and what boto3's errors say to a person."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.aws_account import Account
from support.command_result import Dl, refused

from dlcli.aws.boxes import boxes
from dlcli.aws.cloud import Cloud, open_cloud
from dlcli.aws.errors import code_of, explained
from dlcli.errors import DlError
from dlcli.settings.aws import Aws


def test_the_owner_is_who_calls(aws: Account) -> None:
    assert open_cloud(Aws()).owner.startswith("arn:aws:")


def test_a_fresh_account_has_no_boxes(aws: Account) -> None:
    assert boxes(Cloud(None, "eu-west-1").ec2, "eu-west-1") == []


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("ExpiredToken", "The security token included in the request is expired", "aws sso login"),
        ("RequestExpired", "Request has expired.", "aws sso login"),
        ("AuthFailure", "AWS was not able to validate the credentials", "does not accept"),
        ("InvalidClientTokenId", "The security token is invalid.", "does not accept"),
        ("SignatureDoesNotMatch", "Signature expired", "does not accept"),
        ("UnauthorizedOperation", "You are not authorized.", "does not allow you to call"),
        ("AccessDenied", "MultiFactorAuthentication failed with invalid MFA", "second factor"),
        (
            "OptInRequired",
            "You are not subscribed to this service.",
            "cannot rent in this region yet",
        ),
        ("RequestTimeTooSkewed", "The difference is too large.", "clock"),
        ("RequestLimitExceeded", "Request limit exceeded.", "too busy"),
        ("InternalError", "An internal error has occurred", "too busy"),
        ("Unavailable", "The server is overloaded", "too busy"),
        ("InsufficientInstanceCapacity", "We have none.", "no machine of this type free"),
        ("SomethingElse", "Odd.", "could not call DescribeRegions"),
    ],
)
def test_an_error_of_aws_is_a_sentence(aws: Account, code: str, message: str, said: str) -> None:
    aws.refuse("DescribeRegions", code, message)
    with pytest.raises(DlError) as raised:
        open_cloud(Aws()).regions()
    assert said in str(raised.value)
    assert f"({code})" in raised.value.why
    assert raised.value.hint
    assert code_of(raised.value.__cause__) == code  # type: ignore[arg-type]


def test_without_credentials_it_says_how_to_log_in(
    aws: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(DlError, match="No AWS credentials were found") as raised:
        open_cloud(Aws()).regions()
    assert "aws configure" in raised.value.hint
    # alone on its line, an address can be copied
    assert [line for line in raised.value.hint.splitlines() if "https://" in line] == [
        "https://console.aws.amazon.com/iam/home#/security_credentials",
        "https://aws.amazon.com/ec2/pricing/on-demand/",
    ]
    assert "g6.xlarge (L4) $0.805/h" in raised.value.hint


def test_half_the_credentials_are_none(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(DlError, match="No AWS credentials were found"):
        open_cloud(Aws()).regions()


def test_a_region_has_to_be_known(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(DlError, match="No AWS region is known") as raised:
        open_cloud(Aws())
    assert "`--region us-east-1`" in raised.value.hint
    assert "credentials" not in raised.value.hint
    with monkeypatch.context() as bare:
        bare.delenv("AWS_ACCESS_KEY_ID")
        with pytest.raises(DlError, match="No AWS region is known") as raised:
            open_cloud(Aws())
        assert (
            "Credentials are missing too.\nWith the AWS CLI: `aws configure`" in raised.value.hint
        )
        assert "https://aws.amazon.com/ec2/pricing/on-demand/" in raised.value.hint
    assert open_cloud(Aws(region="eu-west-1")).region == "eu-west-1"
    with pytest.raises(DlError, match="region"):
        open_cloud(Aws(region="not a region")).regions()


def test_a_profile_has_to_exist(aws: Account) -> None:
    with pytest.raises(DlError, match="AWS profile does not exist"):
        open_cloud(Aws(profile="course"))


def test_an_endpoint_that_is_not_there_is_said(
    aws: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(DlError, match="AWS cannot be reached"):
        open_cloud(Aws()).regions()


def test_an_expired_session_of_single_sign_on_is_said(
    aws: Account, home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path.home() / ".aws"
    (folder / "sso" / "cache").mkdir(parents=True)
    (folder / "config").write_text(
        "[profile course]\nsso_session = me\nsso_account_id = 123456789012\n"
        "sso_role_name = Student\nregion = us-east-1\n"
        "[sso-session me]\nsso_start_url = https://example.com/start\nsso_region = us-east-1\n"
    )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(DlError, match="session has expired") as raised:
        open_cloud(Aws(profile="course")).regions()
    assert "aws sso login" in raised.value.hint


def test_a_role_taken_on_anew_each_time_is_one_owner(aws: Account) -> None:
    cloud = open_cloud(Aws())
    sts = cloud.client("sts")
    role = "arn:aws:iam::123456789012:role/Student"
    for session in (
        "botocore-session-1764000000",
        "botocore-session-1764000999",
        "1764000000123456789",
        "aws-go-sdk-1764000000123456789",
        "ada@example.com",
    ):
        answer = sts.assume_role(RoleArn=role, RoleSessionName=session)["Credentials"]
        other = Cloud(None, "us-east-1")
        import boto3

        other._session = boto3.Session(
            answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], "us-east-1"
        )
        own = session if "@" in session else ""
        assert other.owner.endswith("assumed-role/Student" + (f"/{own}" if own else ""))


def test_what_is_no_error_of_boto3_passes(aws: Account) -> None:
    with pytest.raises(ZeroDivisionError), explained():
        _ = 1 / 0


def test_a_page_in_the_way_of_aws_is_said(aws: Account, home: Path) -> None:
    """A hotel's network answers every call with its login page."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Login(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Please log in</html")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Login) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        cloud = open_cloud(Aws())
        cloud._clients["ec2", "us-east-1"] = cloud._session.client(
            "ec2", endpoint_url=f"http://127.0.0.1:{server.server_address[1]}"
        )
        with pytest.raises(DlError, match="The answer did not come from AWS"):
            cloud.regions()
        server.shutdown()


@pytest.mark.parametrize("words", ["types", "up", "start", "stop", "down", "ls", "audit", "ssh"])
def test_each_command_says_what_to_do_without_credentials(
    dl: Dl, aws: Account, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    refused(dl("aws", words), "No AWS credentials were found", "aws configure", "aws sso login")
