"""The machine image of a box: AWS's newest Ubuntu with NVIDIA's driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlcli.aws.errors import code_of, explained, is_gone
from dlcli.errors import DlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlcli.aws.cloud import Cloud

# https://docs.aws.amazon.com/dlami/latest/devguide/find-dlami-id.html
_PARAMETER = "/aws/service/deeplearning/ami/{arch}/{kind}/latest/ami-id"
_KINDS = (
    "base-oss-nvidia-driver-gpu-ubuntu-24.04",
    "base-oss-nvidia-driver-ubuntu-24.04",
    "base-oss-nvidia-driver-gpu-ubuntu-22.04",
    "base-oss-nvidia-driver-ubuntu-22.04",
)
# Their names, for accounts that may not use Systems Manager.
_NAMES = {
    "x86_64": "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 2*.04) *",
    "arm64": "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 2*.04) *",
}


@dataclass(frozen=True)
class Image:
    """A machine image.

    Args:
        root_device: the name of its first disk, `/dev/sda1`.
        snapshot_gb: the least size of this disk.
    """

    id: str
    name: str
    arch: str
    root_device: str
    snapshot_gb: int


def find_image(cloud: Cloud, arch: str, named: str | None = None) -> Image:
    """The newest Deep Learning Base image for an architecture, or the named image.

    Raises:
        DlError: there is none, or it is for another architecture.
    """
    described = _described(cloud, [named]) if named else _newest(cloud, arch)
    if described is None:
        raise DlError(
            f"There is no image {named} in {cloud.region}"
            if named
            else f"There is no Deep Learning Base image for {arch} in {cloud.region}",
            why="an image belongs to one region" if named else "",
            hint="Set `aws.image` to an image of that region"
            + (", or unset it for AWS's newest." if named else ", or choose another region."),
        )
    image = _read(described)
    if image.arch != arch:
        raise DlError(
            f"{image.id} cannot boot on this type",
            why=f"expected an image for {arch}, found one for {image.arch}",
            hint="Set `aws.image` to another, or choose another TYPE.",
        )
    return image


def _newest(cloud: Cloud, arch: str) -> Mapping[str, Any] | None:
    names = [_PARAMETER.format(arch=arch, kind=kind) for kind in _KINDS]
    try:
        with explained():
            answer = cloud.client("ssm").get_parameters(Names=names)
    except DlError:  # the account may not use Systems Manager: search by name instead
        answer = {"Parameters": []}
    values = {each["Name"]: each["Value"] for each in answer["Parameters"]}
    ids = [values[name] for name in names if name in values]
    found = _described(cloud, ids[:1]) if ids else None
    return found or _by_name(cloud, arch)


def _by_name(cloud: Cloud, arch: str) -> Mapping[str, Any] | None:
    with explained():
        images = cloud.ec2.describe_images(
            Owners=["amazon"],
            Filters=[
                {"Name": "name", "Values": [_NAMES[arch]]},
                {"Name": "state", "Values": ["available"]},
            ],
        )["Images"]
    return max(images, key=_by_system_and_age, default=None)


def _by_system_and_age(image: Mapping[str, Any]) -> tuple[str, str]:
    """The sort key for images by their Ubuntu, then by their date."""
    return image["Name"].partition(")")[0], image["CreationDate"]


def _described(cloud: Cloud, ids: list[str]) -> Mapping[str, Any] | None:
    try:
        with explained():
            images = cloud.ec2.describe_images(ImageIds=ids)["Images"]
    except DlError as error:
        if error.__cause__ is not None and is_gone(code_of(error.__cause__)):
            return None
        raise
    return images[0] if images else None


def _read(image: Mapping[str, Any]) -> Image:
    root = image.get("RootDeviceName") or "/dev/sda1"
    disks = {
        each.get("DeviceName"): each.get("Ebs", {}) for each in image.get("BlockDeviceMappings", [])
    }
    return Image(
        id=image["ImageId"],
        name=image.get("Name", ""),
        arch=image.get("Architecture", "x86_64"),
        root_device=root,
        snapshot_gb=disks.get(root, {}).get("VolumeSize", 8),
    )
