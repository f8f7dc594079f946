"""EC2's error codes, by what to do about them.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

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
        *("DependencyViolation", "InvalidGroup.InUse", "ResourceInUse", "VolumeInUse"),
        "IncorrectState",
    )
