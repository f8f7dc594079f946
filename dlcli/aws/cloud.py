"""An AWS account: its clients in one region, and the name of the box that a command means.

A box has the name that was set, or the name of the project's folder. Hints also give the region and
the profile if needed, so that a copied command acts on the same box.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.aws.errors import HOW_TO_LOG_IN, WITHOUT_ACCOUNT, explained
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import find_project_file, home
from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.settings.aws import Aws


CONNECT_SECONDS = 10
READ_SECONDS = 60

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
FALLBACK = "box"


@dataclass(frozen=True)
class Usual:
    """The account that a command uses without options.

    Args:
        profile, region: from the settings; None for boto3's own choice.
    """

    profile: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class Named:
    """A box's name, with the options that make a command act on it.

    Args:
        account: options for its account and region, such as ` --region eu-west-1`; may be empty.
    """

    name: str
    account: str

    @property
    def options(self) -> str:
        """Options that make a command act on this box, such as ` -n dogs --region eu-west-1`.

        The name is always among them, for the user may type the command in another folder.
        """
        return f" -n {self.name}{self.account}"

    def __str__(self) -> str:
        return self.name


class Cloud:
    """The clients of one account in one region; each is made once.

    Args:
        profile: from `~/.aws/config`; None for boto3's own choice.
        region: None for boto3's own choice.
        usual: the account that commands use without options.

    Raises:
        DlError: the profile does not exist, or no region is known.
    """

    def __init__(self, profile: str | None, region: str | None, usual: Usual | None = None) -> None:
        import boto3

        with explained():
            self._session = boto3.Session(profile_name=profile, region_name=region)
        self.profile, self._usual = profile, usual or Usual(profile)
        if not self._session.region_name:
            with explained():
                keys = self._session.get_credentials()
            hint = (
                "Set it: `dl config set aws.region us-east-1`. For one command, most take "
                "`--region us-east-1`."
            )
            if not keys:
                hint += f" Credentials are missing too.\n{HOW_TO_LOG_IN}\n{WITHOUT_ACCOUNT}"
            raise DlError(
                "No AWS region is known",
                why="neither `aws.region`, AWS_DEFAULT_REGION nor the profile names one",
                hint=hint,
            )
        self.region: str = self._session.region_name
        self._typed_region = region
        self._clients: dict[tuple[str, str], Any] = {}
        self._said: set[str] = set()

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of a service. Make it in one thread; then any thread may use it."""
        from botocore.config import Config

        from dlcli.version import __version__

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
        """The same account in another region. Both share their clients."""
        other = copy(self)
        other.region = region
        return other

    @property
    def options(self) -> str:
        """Options for this account and region; empty if a command uses them anyway."""
        region = f" --region {self.region}" if self.region != self._usual_region else ""
        return region + self.profile_option

    @property
    def profile_option(self) -> str:
        """The option for this account; empty if a command uses it anyway."""
        import shlex

        if self.profile is None or self.profile == self._usual.profile:
            return ""
        return f" --profile {shlex.quote(self.profile)}"

    def named(self, name: str) -> Named:
        """A box of this region by its name."""
        return Named(name, self.options)

    @cached_property
    def _usual_region(self) -> str | None:
        """The region that a command uses without options; None if none is known."""
        import boto3
        from botocore.exceptions import BotoCoreError

        if self._usual.region is not None:
            return self._usual.region
        if self._typed_region is None and self.profile == self._usual.profile:
            return str(self._session.region_name)
        try:
            found = boto3.Session(profile_name=self._usual.profile).region_name
        except BotoCoreError:  # no such profile
            return None
        return None if found is None else str(found)

    def say_once(self, text: str) -> None:
        """Say a sentence, unless it was said before for any region."""
        if text not in self._said:
            self._said.add(text)
            say(text)

    @property
    def ec2(self) -> Any:
        """The client of EC2 in this region."""
        return self.client("ec2")

    @cached_property
    def owner(self) -> str:
        """The caller's ARN, which marks their boxes.

        A role that a program assumes has a new session name each time, which ends in the time of
        day. That name is left out, so that the owner stays the same.
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
    """The role of an owner, without the session name; empty if the owner is not a role."""
    found = re.match(r"[^/]*:assumed-role/[^/]+", owner)
    return found[0] if found else ""


def open_cloud(settings: Aws, *, usual: Aws | None = None) -> Cloud:
    """The account that the settings name.

    Args:
        usual: the settings without any options of the command line; by default the same.
    """
    usual = usual or settings
    return Cloud(settings.profile, settings.region, Usual(usual.profile, usual.region))


def project_folder(folder: Path) -> Path:
    """The project that a folder is in: its git checkout, the folder of its `dl.yaml`, or itself."""
    for parent in (folder, *folder.parents):
        if (parent / ".git").exists():
            return parent
    file = find_project_file(folder)
    return file.parent if file else folder


def project_name(folder: Path) -> str:
    """The project's name, in characters that a tag and an ssh alias allow."""
    project = project_folder(folder)
    if project == home():
        return FALLBACK
    return re.sub(r"[^A-Za-z0-9._-]+", "-", project.name).strip("-._")[:63] or FALLBACK


def box_name(settings: Aws, folder: Path) -> str:
    """The name of the box that a command acts on.

    Raises:
        DlError: the setting is not a valid name.
    """
    return project_name(folder) if settings.name is None else checked_name(settings.name)


def checked_name(name: str) -> str:
    """A box's name, checked: it becomes a tag, a folder and an ssh alias.

    Raises:
        DlError: it is not valid.
    """
    if not _NAME.fullmatch(name):
        raise DlError(
            f"{name!r} is not a valid name for a box",
            why="a name has at most 63 letters, digits, `.`, `_` and `-`, and begins with a letter "
            "or digit",
            hint="Choose another: `-n NAME`.",
            exit_code=ExitCode.USAGE,
        )
    return name


@contextmanager
def told_if_stopped(cloud: Cloud, name: str) -> Iterator[None]:
    """On Ctrl-C within the block, say how to continue with the box, and how to end it."""
    try:
        yield
    except KeyboardInterrupt:
        options = cloud.named(name).options
        say(
            f"Interrupted: {name} may be costing money. Continue with `dl aws up{options}`, or end "
            f"it with `dl aws down{options}`."
        )
        raise
