"""How many vCPUs an account may rent at once: AWS's quotas, and how to have more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcli.aws.errors import explained
from dlcli.errors import DlError

if TYPE_CHECKING:
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.instance_types import GpuType

# (first letters, the quota's name, its code on demand, its code for spot).
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
_QUOTAS = (
    (("g", "vt"), "G and VT", "L-DB2E81BA", "L-3819A6DF"),
    (("p",), "P", "L-417A185B", "L-7212CCBC"),
    (("",), "standard", "L-1216C47A", "L-34B43A08"),
)


def quota_of(name: str, spot: bool) -> tuple[str, str]:
    """The quota that a type counts against: its name and code.

    Spot and on demand have quotas of their own: one may be 0 and the other not.
    """
    title, code = next(
        (title, spot_code if spot else code)
        for letters, title, code, spot_code in _QUOTAS
        if name.startswith(letters)
    )
    return f"{'spot' if spot else 'on-demand'} {title} instances", code


def allowed_vcpus(cloud: Cloud, name: str, spot: bool) -> int | None:
    """vCPUs that the account may have of such types at once; None where it may not be asked."""
    try:
        with explained():
            answer = cloud.client("service-quotas").get_service_quota(
                ServiceCode="ec2", QuotaCode=quota_of(name, spot)[1]
            )
    except DlError:
        return None
    return int(answer["Quota"]["Value"])


def too_small(cloud: Cloud, kind: GpuType, spot: bool, said: str = "") -> DlError:
    """The error of a box that a quota doesn't allow: need, have, and where to ask for more.

    Args:
        kind: the type that was wanted.
        said: what AWS said, if anything.
    """
    title, code = quota_of(kind.name, spot)
    have = allowed_vcpus(cloud, kind.name, spot)
    new = "" if have is None or have else "New accounts begin with 0. "
    return DlError(
        f"The account's quota doesn't allow a {kind.name} in {cloud.region}",
        why=f"{title}: need {kind.vcpus} vCPUs, have {'?' if have is None else have} in all"
        + (f". AWS said: {said.rstrip('.')}" if said else ""),
        hint=f"{new}More takes hours or days. Ask here: https://{cloud.region}.console.aws."
        f"amazon.com/servicequotas/home/services/ec2/quotas/{code}",
    )


def require_quota(cloud: Cloud, kind: GpuType, spot: bool) -> None:
    """Refuse what the quota can't allow, before anything is made.

    Raises:
        DlError: it is smaller than the type.
    """
    have = allowed_vcpus(cloud, kind.name, spot)
    if have is not None and have < kind.vcpus:
        raise too_small(cloud, kind, spot)
