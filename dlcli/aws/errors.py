"""AWS error codes: what each one means, and its message for the user.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dlcli.errors import DlError

# For orientation, where AWS can't be asked: its list prices, for Linux.
WITHOUT_ACCOUNT = (
    "Nothing was rented or changed. `dl` needs credentials to read prices and quotas and to rent.\n"
    "Prices in us-east-1, on demand, about: g4dn.xlarge (T4) $0.526/h, g6.xlarge (L4) $0.805/h, "
    "g5.xlarge (A10G) $1.006/h. Today's prices, without an account:\n"
    "https://aws.amazon.com/ec2/pricing/on-demand/"
)
HOW_TO_LOG_IN = (
    "With the AWS CLI: `aws configure` stores keys, `aws sso login` opens a single sign-on session."
    "\nWithout it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Make a key here:\n"
    "https://console.aws.amazon.com/iam/home#/security_credentials"
)

# No machine of this type is free here; another zone may have one.
NEXT_ZONE = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientReservedInstanceCapacity",
        "UnfulfillableCapacity",
        "Unsupported",
    }
)
# The account's own limit; another zone does not help.
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
    """Whether EC2 has refused an order for good, so that it launched nothing and never will."""
    not_examined = EXPIRED | REFUSED_KEYS | CLOCK | FORBIDDEN | CLOSED_ACCOUNT
    return bool(code) and code not in BACK_OFF | NEW_TOKEN | not_examined


def is_gone(code: str) -> bool:
    """Whether the resource no longer exists."""
    return code.endswith((".NotFound", ".Malformed", "NotFoundException"))


def is_there_already(code: str) -> bool:
    """Whether the same resource exists already, perhaps from an earlier call."""
    return code.endswith(".Duplicate")


def is_in_use(code: str) -> bool:
    """Whether something else still uses the resource, perhaps only for a moment."""
    return code in (
        "DependencyViolation",
        "InvalidGroup.InUse",
        "ResourceInUse",
        "VolumeInUse",
        "IncorrectState",
    )


def code_of(error: BaseException) -> str:
    """The AWS code of an error of boto3; empty if AWS did not answer."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def reason_code(error: DlError) -> str:
    """The AWS code of an error that `explained` raised; empty if AWS did not answer."""
    return code_of(error.__cause__) if error.__cause__ is not None else ""


@contextmanager
def explained() -> Iterator[None]:
    """Turn every error of boto3 within the block into a `DlError`.

    Raises:
        DlError: its cause is boto3's error, whose code `reason_code` reads.
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
            "The answer did not come from AWS",
            why=" ".join(str(error).split())[:200],
            hint="A proxy or a network's login page may have answered. Open any page in a browser, "
            "then try again.",
        ) from error
    except (BotoCoreError, Boto3Error) as error:
        raise _unanswered(error) from error


def _answered(error: Any) -> DlError:
    """The message for an error code of AWS."""
    code, call = code_of(error), error.operation_name
    said = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
    why = f"{said.rstrip('.')} ({code})" if said else code
    if code in EXPIRED:
        return DlError("The AWS session has expired", why=why, hint=_log_in_again())
    if code in CLOCK:
        return DlError(
            "AWS refuses the time of the request",
            why=why,
            hint="This computer's clock is minutes off. Set it: `timedatectl set-ntp true`.",
        )
    if "MultiFactorAuthentication" in said or "MFA" in said:
        return DlError(
            "AWS requires a second factor",
            why=why,
            hint="Open a session: `aws sts get-session-token --serial-number ARN --token-code N`. "
            "Or set `aws.profile` to a profile with `mfa_serial`.",
        )
    if code in REFUSED_KEYS:
        return DlError(
            "AWS does not accept the credentials",
            why=why,
            hint=f"{HOW_TO_LOG_IN}\nIf the credentials are right, this computer's clock may be "
            "wrong, or the region may be disabled for the account.",
        )
    if code in FORBIDDEN:
        return DlError(
            f"AWS does not allow you to {_as_action(call)}",
            why=why,
            hint="Ask the account's administrator to allow it, or set `aws.profile` to another "
            "profile.",
        )
    if code in CLOSED_ACCOUNT:
        return DlError(
            "The AWS account cannot rent in this region yet",
            why=why,
            hint="AWS checks new accounts for some hours. Some regions must be enabled first: "
            "https://console.aws.amazon.com/billing/home#/account",
        )
    if code in BACK_OFF:
        return DlError(
            f"AWS is too busy to {_as_action(call)}",
            why=why,
            hint="Wait a minute, then run the same command again: it continues.",
        )
    if code in NEXT_ZONE:
        return DlError(
            "AWS has no machine of this type free",
            why=why,
            hint="Try again later. Or choose another TYPE (`dl aws types` lists them), or another "
            "region: `--region NAME`.",
        )
    return DlError(
        f"AWS could not {_as_action(call)}",
        why=why,
        hint="Run it again with `--debug` to see the call.",
    )


def _unanswered(error: Exception) -> DlError:
    """The message for an error of boto3 where AWS did not answer."""
    import botocore.exceptions as raised

    why = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, raised.NoCredentialsError | raised.PartialCredentialsError):
        return DlError(
            "No AWS credentials were found",
            why="neither the environment, ~/.aws nor the profile has any"
            if isinstance(error, raised.NoCredentialsError)
            else why,
            hint=f"{HOW_TO_LOG_IN}\nTo use another profile, set `aws.profile`.\n{WITHOUT_ACCOUNT}",
        )
    if isinstance(error, raised.ProfileNotFound):
        return DlError(
            "The AWS profile does not exist",
            why=why,
            hint="Set `aws.profile` to one that `aws configure list-profiles` lists.",
        )
    if isinstance(error, raised.SSOError | raised.TokenRetrievalError | raised.LoginError):
        return DlError("The AWS session has expired", why=why, hint=_log_in_again())
    if isinstance(error, raised.CredentialRetrievalError):
        return DlError(
            "AWS credentials could not be fetched",
            why=why,
            hint="Check them with `aws sts get-caller-identity`.",
        )
    if isinstance(error, raised.NoRegionError | raised.InvalidRegionError):
        return DlError(
            "The AWS region is missing or unknown",
            why=why,
            hint="Set it: `dl config set aws.region us-east-1`.",
        )
    if isinstance(error, raised.HTTPClientError | raised.ConnectionError):
        return DlError(
            "AWS cannot be reached",
            why=why,
            hint="Check the network, the proxy, and the spelling of `aws.region`.",
        )
    return DlError(
        "The call to AWS failed", why=why, hint="Run it again with `--debug` to see where."
    )


def _log_in_again() -> str:
    import os

    login = "`aws sso login`, with `--profile NAME` if you use a profile"
    if profile := os.environ.get("AWS_PROFILE"):
        login = f"`aws sso login --profile {profile}`"
    return f"Log in again: {login}. If you use a session token, fetch a new one."


def _as_action(operation: str) -> str:
    """`RunInstances` as "call RunInstances"."""
    return f"call {operation}"
