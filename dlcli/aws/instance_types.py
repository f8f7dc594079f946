"""Instance types: what a region offers, and the account's quotas.

EC2 says what is offered. The one list here is of retired types, which EC2 no longer describes, so
that readers of older tutorials learn what to rent instead. Quotas count vCPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dlcli.aws.errors import explained
from dlcli.aws.prices import dollars, list_prices
from dlcli.errors import DlError

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud


# Patterns of EC2's GPU families; types without an NVIDIA GPU are filtered out later.
GPU_FAMILIES = ("g*", "p*")
MAKER = "NVIDIA"
# EC2's limit of values in a filter.
MOST_VALUES = 200
_MOST_GPUS = 8

# (first letters of the types, quota's name, its on-demand code, its spot code).
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
_QUOTAS = (
    (("g", "vt"), "G and VT", "L-DB2E81BA", "L-3819A6DF"),
    (("p",), "P", "L-417A185B", "L-7212CCBC"),
    (("",), "standard", "L-1216C47A", "L-34B43A08"),
)


@dataclass(frozen=True)
class GpuType:
    """An instance type.

    Args:
        memory_gib: memory of the machine; `gpu_gib` is the memory of each GPU.
        gpus: the number of GPUs.
        gpu: the GPU's name, such as "T4"; empty without a GPU.
    """

    name: str
    vcpus: int
    memory_gib: float = 0.0
    gpus: int = 0
    gpu: str = ""
    gpu_gib: float = 0.0
    arch: str = "x86_64"
    zones: tuple[str, ...] = ()

    @property
    def gpu_words(self) -> str:
        """Its GPUs in words: "T4 16 GB", "8 x A100 40 GB"."""
        if not self.gpus:
            return "no GPU"
        count = f"{self.gpus} x " if self.gpus > 1 else ""
        return f"{count}{self.gpu} {self.gpu_gib:.0f} GB"


def _gone(family: str, gpu: str, gpu_gib: float, sizes: Mapping[str, tuple[int, int]]) -> Any:
    return [
        GpuType(f"{family}.{size}", vcpus, 0, gpus, gpu, gpu_gib)
        for size, (gpus, vcpus) in sizes.items()
    ]


# size -> GPUs, vCPUs. https://aws.amazon.com/ec2/previous-generation/
RETIRED: Mapping[str, GpuType] = {
    each.name: each
    for each in (
        *_gone("p2", "K80", 12, {"xlarge": (1, 4), "8xlarge": (8, 32), "16xlarge": (16, 64)}),
        *_gone("p3", "V100", 16, {"2xlarge": (1, 8), "8xlarge": (4, 32), "16xlarge": (8, 64)}),
        *_gone("p3dn", "V100", 32, {"24xlarge": (8, 96)}),
        *_gone("g2", "K520", 4, {"2xlarge": (1, 8), "8xlarge": (4, 32)}),
        *_gone("g3s", "M60", 8, {"xlarge": (1, 4)}),
        *_gone("g3", "M60", 8, {"4xlarge": (1, 16), "8xlarge": (2, 32), "16xlarge": (4, 64)}),
        *_gone(
            "g4ad",
            "Radeon V520",
            8,
            {
                "xlarge": (1, 4),
                "2xlarge": (1, 8),
                "4xlarge": (1, 16),
                "8xlarge": (2, 32),
                "16xlarge": (4, 64),
            },
        ),
    )
}


def describe(ec2: Any, names: Sequence[str]) -> dict[str, GpuType]:
    """The region's types of these names or patterns such as `g5.*`, with their zones."""
    with explained():
        pages = ec2.get_paginator("describe_instance_types").paginate(
            Filters=[{"Name": "instance-type", "Values": list(names)}]
        )
        found = {
            each["InstanceType"]: _gpu_type(each)
            for page in pages
            for each in page["InstanceTypes"]
            if not each.get("BareMetal")  # boots in 15 minutes, and costs the whole machine
        }
    zones = offered(ec2, found)
    return {name: replace(found[name], zones=zones[name]) for name in found if name in zones}


def gpu_types(ec2: Any) -> list[GpuType]:
    """All types with NVIDIA GPUs that the region offers."""
    return [each for each in describe(ec2, GPU_FAMILIES).values() if each.gpus]


def offered(ec2: Any, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Type -> the region's zones that offer it; types without a zone are left out."""
    wanted, found = list(names), dict[str, list[str]]()
    for start in range(0, len(wanted), MOST_VALUES):
        some = wanted[start : start + MOST_VALUES]
        with explained():
            pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
                LocationType="availability-zone",
                Filters=[{"Name": "instance-type", "Values": some}],
            )
            for page in pages:
                for each in page["InstanceTypeOfferings"]:
                    found.setdefault(each["InstanceType"], []).append(each["Location"])
    return {name: tuple(sorted(zones)) for name, zones in found.items()}


def nearest(
    wanted: str, present: Sequence[GpuType], price: Mapping[str, float | None]
) -> GpuType | None:
    """The best replacement for a type that is not offered.

    For a retired type: the cheapest with at least as many GPUs, GPU memory and vCPUs. For a family
    such as `g6`: its cheapest. For any other name: the most similar name.

    Args:
        present: the region's GPU types.
        price: dollars an hour on demand; unknown ones may be missing.
    """

    def cost(each: GpuType) -> tuple[float, int, float, int]:
        known = price.get(each.name)
        return (float("inf") if known is None else known, each.gpus, each.gpu_gib, each.vcpus)

    wanted = wanted.lower()
    gone = RETIRED.get(wanted)
    if gone is None:
        from difflib import get_close_matches

        for start in (f"{wanted}.", wanted):
            if family := [each for each in present if each.name.startswith(start)]:
                return min(family, key=cost)
        close = get_close_matches(wanted, [each.name for each in present], n=1)
        return next((each for each in present if [each.name] == close), None)
    gpus = min(gone.gpus, _MOST_GPUS)
    fits = [
        each
        for each in present
        if each.gpus >= gpus
        and each.gpu_gib >= gone.gpu_gib
        and each.vcpus >= min(gone.vcpus, 4 * gpus)
        and each.arch == gone.arch
    ]
    return min(fits, key=cost, default=None)


def _gpu_type(described: Mapping[str, Any]) -> GpuType:
    gpus = [
        gpu
        for gpu in described.get("GpuInfo", {}).get("Gpus", [])
        if gpu.get("Manufacturer") == MAKER
    ]
    first = gpus[0] if gpus else {}
    architectures = described.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    return GpuType(
        name=described["InstanceType"],
        vcpus=described.get("VCpuInfo", {}).get("DefaultVCpus", 0),
        memory_gib=described.get("MemoryInfo", {}).get("SizeInMiB", 0) / 1024,
        gpus=max(first.get("Count", 1), 1) if gpus else 0,
        gpu=first.get("Name", ""),
        gpu_gib=first.get("MemoryInfo", {}).get("SizeInMiB", 0) / 1024,
        arch="arm64" if "arm64" in architectures else "x86_64",
    )


def offered_type(
    cloud: Cloud, name: str, wanted: str, accept: Callable[[str, GpuType], bool]
) -> GpuType:
    """The wanted type, or the nearest one on offer, if that is accepted.

    Args:
        name: the box's name, for the hint.
        accept: asked whether another type will do; it gets the question and the type.

    Raises:
        DlError: the type is not offered; names the nearest.
    """
    found = describe(cloud.ec2, [wanted]).get(wanted)
    if found is not None:
        return found
    near, words = _nearest_in_words(cloud, wanted)
    if near is None:
        raise DlError(words, hint=f"List the types on offer with `dl aws types{cloud.options}`.")
    if accept(f"{words}. Start that?", near):
        return near
    raise DlError(
        words,
        hint=f"Rent it with `dl aws up {near.name}{cloud.named(name).options}` or `--substitute`, "
        f"or list others with `dl aws types{cloud.options}`.",
    )


def require_offered(cloud: Cloud, box: Box, wanted: str) -> None:
    """Refuse a type for an existing box if the region does not offer it.

    Raises:
        DlError: names the nearest type, and the command that leads to it.
    """
    if describe(cloud.ec2, [wanted]):
        return
    near, words = _nearest_in_words(cloud, wanted)
    others = f"List the types on offer with `dl aws types{cloud.options}`."
    options = cloud.named(box.name).options
    become = ""
    if near is not None and near.name == box.type:
        become = f"Use it with `dl aws up{options}`. "
    elif near is not None:
        become = f"Change it with `dl aws resize {near.name}{options}`. "
    raise DlError(words, hint=f"{box.name} is a {box.type}. {become}{others}")


def _nearest_in_words(cloud: Cloud, wanted: str) -> tuple[GpuType | None, str]:
    """The nearest type to one that is not offered, and a message about both."""
    gone = RETIRED.get(wanted.lower())
    what = (
        f"{wanted} ({gone.gpu}) is no longer offered"
        if gone
        else f"{wanted} is not offered in {cloud.region}"
    )
    prices = list_prices(cloud)
    near = nearest(wanted, gpu_types(cloud.ec2), prices)
    if near is None:
        return None, what
    words = f"{near.name}, {near.gpu_words}, {dollars(prices.get(near.name))}/h"
    return near, f"{what}. Nearest: {words}"


def quota_of(name: str, spot: bool) -> tuple[str, str]:
    """The quota that a type counts against: its name and code.

    Spot and on-demand boxes have separate quotas: one may be 0 and the other not.
    """
    title, code = next(
        (title, spot_code if spot else code)
        for letters, title, code, spot_code in _QUOTAS
        if name.startswith(letters)
    )
    return f"{'spot' if spot else 'on-demand'} {title} instances", code


def allowed_vcpus(cloud: Cloud, name: str, spot: bool) -> int | None:
    """vCPUs of such types that the account may rent at once; None if it may not look that up."""
    try:
        with explained():
            answer = cloud.client("service-quotas").get_service_quota(
                ServiceCode="ec2", QuotaCode=quota_of(name, spot)[1]
            )
    except DlError:
        return None
    return int(answer["Quota"]["Value"])


def too_small(cloud: Cloud, kind: GpuType, spot: bool, said: str = "") -> DlError:
    """The error for a quota that is too small: what is needed, what there is, how to get more.

    Args:
        kind: the wanted type.
        said: AWS's message, if any.
    """
    title, code = quota_of(kind.name, spot)
    have = allowed_vcpus(cloud, kind.name, spot)
    new = "" if have is None or have else "New accounts start with 0. "
    return DlError(
        f"The account's quota does not allow a {kind.name} in {cloud.region}",
        why=f"{title}: need {kind.vcpus} vCPUs, have {'?' if have is None else have} in all"
        + (f". AWS said: {said.rstrip('.')}" if said else ""),
        hint=f"{new}Request more, which takes hours or days: https://{cloud.region}.console.aws."
        f"amazon.com/servicequotas/home/services/ec2/quotas/{code}",
    )


def require_quota(cloud: Cloud, kind: GpuType, spot: bool) -> None:
    """Refuse a type above the quota, before anything is made.

    Raises:
        DlError: the quota is smaller than the type.
    """
    have = allowed_vcpus(cloud, kind.name, spot)
    if have is not None and have < kind.vcpus:
        raise too_small(cloud, kind, spot)
