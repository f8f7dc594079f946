"""One AWS account as a profile and a region open it, and its errors in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dlcli.aws import errors
from dlcli.errors import DlError

if TYPE_CHECKING:
    from dlcli.aws.settings import Aws

CONNECT_SECONDS = 10
READ_SECONDS = 60
HOW_TO_LOG_IN = "`aws configure` stores keys, `aws sso login` opens a session of single sign-on."


class Cloud:
    """Clients of one account in one region, made once each.

    Args:
        profile: of `~/.aws/config`; None as boto3 finds it.
        region: None as boto3 finds it.

    Raises:
        DlError: no such profile; or no region is known.
    """

    def __init__(self, profile: str | None, region: str | None) -> None:
        import boto3

        with explained():
            self._session = boto3.Session(profile_name=profile, region_name=region)
        self.profile = profile
        if not self._session.region_name:
            raise DlError(
                "No AWS region is known",
                why="neither `aws.region`, AWS_DEFAULT_REGION nor the profile names one",
                hint="Say where to rent: `dl config set aws.region us-east-1`.",
            )
        self.region: str = self._session.region_name
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of a service; made in one thread, usable in all."""
        from botocore.config import Config

        from dlcli import __version__

        where = region or self.region
        if (service, where) not in self._clients:
            config = Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard"},
                user_agent_extra=f"dl/{__version__}",
            )
            with explained():
                self._clients[service, where] = self._session.client(
                    service, region_name=where, config=config
                )
        return self._clients[service, where]

    def at(self, region: str) -> Cloud:
        """The same account in another region; its clients are shared."""
        other = copy(self)
        other.region = region
        return other

    @property
    def ec2(self) -> Any:
        """The client of EC2 in this region."""
        return self.client("ec2")

    @cached_property
    def owner(self) -> str:
        """Whose boxes these are: the caller's ARN.

        A role that a program takes on by itself has a session name of its own each time, which
        ends in the time of day; that part is left out, so that an owner is the same tomorrow.
        """
        with explained():
            arn = str(self.client("sts").get_caller_identity()["Arn"])
        return re.sub(r"(:assumed-role/[^/]+)/[^/]*\d{9,}$", r"\1", arn)

    def regions(self) -> list[str]:
        """The regions that are open to this account."""
        with explained():
            found = self.ec2.describe_regions()["Regions"]
        return sorted(each["RegionName"] for each in found)


def role_of(owner: str) -> str:
    """The role that an owner has taken on, without the session's name; empty where it is none."""
    found = re.match(r"[^/]*:assumed-role/[^/]+", owner)
    return found[0] if found else ""


def open_cloud(settings: Aws, region: str | None = None) -> Cloud:
    """The account that the settings name; another of its regions where one is named."""
    return Cloud(settings.profile, region or settings.region)


def code_of(error: BaseException) -> str:
    """AWS's code of an error; empty where AWS didn't answer."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def reason_code(error: DlError) -> str:
    """AWS's code of what `explained` raised; empty where AWS didn't answer."""
    return code_of(error.__cause__) if error.__cause__ is not None else ""


@contextmanager
def explained() -> Iterator[None]:
    """Turn every error of boto3 within the block into what, why and how to mend it.

    Raises:
        DlError: with boto3's error as its cause, so that `reason_code` tells its code.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _answered(error) from error
    except ResponseParserError as error:
        raise DlError(
            "What answered wasn't AWS",
            why=" ".join(str(error).split())[:200],
            hint="A proxy or a network that wants a login may stand between: open any page in a "
            "browser, then try again.",
        ) from error
    except (BotoCoreError, Boto3Error) as error:
        raise _unanswered(error) from error


def _answered(error: Any) -> DlError:
    """AWS answered with an error code."""
    code, call = code_of(error), error.operation_name
    said = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
    why = f"{said.rstrip('.')} ({code})" if said else code
    if code in errors.EXPIRED:
        return DlError("The AWS session has expired", why=why, hint=_log_in_again())
    if code in errors.CLOCK:
        return DlError(
            "AWS refuses the request's time",
            why=why,
            hint="This machine's clock is off by minutes: set it, `timedatectl set-ntp true`.",
        )
    if "MultiFactorAuthentication" in said or "MFA" in said:
        return DlError(
            "AWS wants a second factor",
            why=why,
            hint="Open a session with it, `aws sts get-session-token --serial-number ARN "
            "--token-code N`, or name a profile with `mfa_serial` as `aws.profile`.",
        )
    if code in errors.REFUSED_KEYS:
        return DlError(
            "AWS doesn't accept the credentials",
            why=why,
            hint=f"{HOW_TO_LOG_IN} If they are right, this machine's clock may be off, or the "
            "region isn't open to the account.",
        )
    if code in errors.FORBIDDEN:
        return DlError(
            f"AWS doesn't let you {_as_action(call)}",
            why=why,
            hint="Ask whoever runs the account to allow that action, or name another profile: "
            "`aws.profile`.",
        )
    if code in errors.CLOSED_ACCOUNT:
        return DlError(
            "The AWS account can't rent here yet",
            why=why,
            hint="New accounts are checked for some hours; other regions have to be opened: "
            "https://console.aws.amazon.com/billing/home#/account",
        )
    if code in errors.BACK_OFF:
        return DlError(
            f"AWS is too busy to {_as_action(call)}",
            why=why,
            hint="Wait a minute, then run the same again: it goes on from there.",
        )
    if code in errors.NEXT_ZONE:
        return DlError(
            "AWS has no such machine free",
            why=why,
            hint="Try later, another TYPE, or another region: `dl aws types`.",
        )
    return DlError(
        f"AWS couldn't {_as_action(call)}",
        why=why,
        hint="Run it again with --debug to see the call.",
    )


def _unanswered(error: Exception) -> DlError:
    """boto3 didn't get as far as an answer."""
    import botocore.exceptions as raised

    why = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, raised.NoCredentialsError | raised.PartialCredentialsError):
        return DlError(
            "No AWS credentials were found",
            why="neither the environment, ~/.aws nor the profile holds any"
            if isinstance(error, raised.NoCredentialsError)
            else why,
            hint=f"{HOW_TO_LOG_IN} `aws.profile` names another profile.",
        )
    if isinstance(error, raised.ProfileNotFound):
        return DlError(
            "There is no such AWS profile",
            why=why,
            hint="`aws configure list-profiles` lists them; `aws.profile` names one.",
        )
    if isinstance(error, raised.SSOError | raised.TokenRetrievalError | raised.LoginError):
        return DlError("The AWS session has expired", why=why, hint=_log_in_again())
    if isinstance(error, raised.CredentialRetrievalError):
        return DlError(
            "AWS credentials could not be fetched",
            why=why,
            hint="Try `aws sts get-caller-identity`, which asks for them the same way.",
        )
    if isinstance(error, raised.NoRegionError | raised.InvalidRegionError):
        return DlError(
            "No AWS region of that name is known",
            why=why,
            hint="Say where to rent: `dl config set aws.region us-east-1`.",
        )
    if isinstance(error, raised.HTTPClientError | raised.ConnectionError):
        return DlError(
            "AWS can't be reached",
            why=why,
            hint="Check the network, the proxy, and the region's spelling in `aws.region`.",
        )
    return DlError(
        "AWS could not be asked", why=why, hint="Run it again with --debug to see where this was."
    )


def _log_in_again() -> str:
    import os

    profile = os.environ.get("AWS_PROFILE")
    named = f" --profile {profile}" if profile else ""
    return f"Log in again: `aws sso login{named}`; for a session token, fetch a new one as before."


def _as_action(operation: str) -> str:
    """`RunInstances` as "call RunInstances"."""
    return f"call {operation}"
