"""AWS's errors: what to do about each code, and the words for a person.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dlcli.errors import DlError

HOW_TO_LOG_IN = "`aws configure` stores keys, `aws sso login` opens a session of single sign-on."

# No machine of this type here now: another zone may have one.
NEXT_ZONE = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientReservedInstanceCapacity",
        "UnfulfillableCapacity",
        "Unsupported",
    }
)
# The account's own limit: no zone helps.
QUOTA = frozenset({"VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "InstanceLimitExceeded"})
BACK_OFF = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "EC2ThrottledException",
        "InternalError",
        "InternalFailure",
        "ServerInternal",
        "Unavailable",
        "ServiceUnavailable",
    }
)
NEW_TOKEN = frozenset({"IdempotentParameterMismatch", "IdempotentInstanceTerminated"})
SPOT_PRICE = frozenset({"SpotMaxPriceTooLow"})
EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
)
REFUSED_KEYS = frozenset(
    {
        "AuthFailure",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "MissingAuthenticationToken",
        "IncompleteSignature",
    }
)
CLOCK = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
FORBIDDEN = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
CLOSED_ACCOUNT = frozenset({"OptInRequired", "PendingVerification", "Blocked"})


def is_final(code: str) -> bool:
    """Whether EC2 has looked at an order and refused it: it launched nothing, nor will it."""
    asked_in_vain = EXPIRED | REFUSED_KEYS | CLOCK | FORBIDDEN | CLOSED_ACCOUNT
    return bool(code) and code not in BACK_OFF | NEW_TOKEN | asked_in_vain


def is_gone(code: str) -> bool:
    """Whether the thing that was asked for isn't there any more."""
    return code.endswith((".NotFound", ".Malformed", "NotFoundException"))


def is_there_already(code: str) -> bool:
    """Whether somebody, an earlier call perhaps, made the same before."""
    return code.endswith(".Duplicate")


def is_in_use(code: str) -> bool:
    """Whether something else still hangs on it, for a moment perhaps."""
    return code in (
        "DependencyViolation",
        "InvalidGroup.InUse",
        "ResourceInUse",
        "VolumeInUse",
        "IncorrectState",
    )


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
    if code in EXPIRED:
        return DlError("The AWS session has expired", why=why, hint=_log_in_again())
    if code in CLOCK:
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
    if code in REFUSED_KEYS:
        return DlError(
            "AWS doesn't accept the credentials",
            why=why,
            hint=f"{HOW_TO_LOG_IN} If they are right, this machine's clock may be off, or the "
            "region isn't open to the account.",
        )
    if code in FORBIDDEN:
        return DlError(
            f"AWS doesn't let you {_as_action(call)}",
            why=why,
            hint="Ask whoever runs the account to allow that action, or name another profile: "
            "`aws.profile`.",
        )
    if code in CLOSED_ACCOUNT:
        return DlError(
            "The AWS account can't rent here yet",
            why=why,
            hint="New accounts are checked for some hours; other regions have to be opened: "
            "https://console.aws.amazon.com/billing/home#/account",
        )
    if code in BACK_OFF:
        return DlError(
            f"AWS is too busy to {_as_action(call)}",
            why=why,
            hint="Wait a minute, then run the same again: it goes on from there.",
        )
    if code in NEXT_ZONE:
        return DlError(
            "AWS has no such machine free",
            why=why,
            hint="Try later, another TYPE, or another region.",
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
