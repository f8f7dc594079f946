"""One AWS account as a profile and a region open it, and the name of the box that is meant.

A box has the name that was set, or that of the project's folder. A hint names the region and the
profile too: without them it would act on another box.
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

from dlcli.aws.errors import explained
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import find_project_file
from dlcli.progress import say

if TYPE_CHECKING:
    from dlcli.settings.aws import Aws


CONNECT_SECONDS = 10
READ_SECONDS = 60

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
FALLBACK = "box"


@dataclass(frozen=True)
class Usual:
    """The account that a call means where none is typed.

    Args:
        profile, region: as settings have them; None as boto3 finds them.
    """

    profile: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class Named:
    """A box as a message speaks of it.

    Args:
        name: the box's.
        account: what follows a command that means its account and region, ` --region eu-west-1`.
    """

    name: str
    account: str

    @property
    def options(self) -> str:
        """What follows a command that means this box, ` -n dogs --region eu-west-1`.

        The name always: what is said in one folder is typed in another.
        """
        return f" -n {self.name}{self.account}"

    def __str__(self) -> str:
        return self.name


class Cloud:
    """Clients of one account in one region, made once each.

    Args:
        profile: of `~/.aws/config`; None as boto3 finds it.
        region: None as boto3 finds it.
        usual: what need not be typed.

    Raises:
        DlError: no such profile; or no region is known.
    """

    def __init__(self, profile: str | None, region: str | None, usual: Usual | None = None) -> None:
        import boto3

        with explained():
            self._session = boto3.Session(profile_name=profile, region_name=region)
        self.profile, self._usual = profile, usual or Usual(profile)
        if not self._session.region_name:
            with explained():
                keys = self._session.get_credentials()
            both = "" if keys else " No credentials either: `aws configure` asks for both."
            raise DlError(
                "No AWS region is known",
                why="neither `aws.region`, AWS_DEFAULT_REGION nor the profile names one",
                hint="Say where to rent: `--region us-east-1`, or for good "
                f"`dl config set aws.region us-east-1`.{both}",
            )
        self.region: str = self._session.region_name
        self._typed_region = region
        self._clients: dict[tuple[str, str], Any] = {}
        self._said: set[str] = set()

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of a service; made in one thread, usable in all."""
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
        """The same account in another region; its clients are shared."""
        other = copy(self)
        other.region = region
        return other

    @property
    def options(self) -> str:
        """What follows a command that means this account and region; empty where it does anyway."""
        region = f" --region {self.region}" if self.region != self._usual_region else ""
        return region + self.profile_option

    @property
    def profile_option(self) -> str:
        """What follows a command that means this account."""
        import shlex

        if self.profile is None or self.profile == self._usual.profile:
            return ""
        return f" --profile {shlex.quote(self.profile)}"

    def named(self, name: str) -> Named:
        """A box of this region, and what one types to mean it."""
        return Named(name, self.options)

    @cached_property
    def _usual_region(self) -> str | None:
        """The region that a call takes where none is typed; None where none is known."""
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
        """Say a sentence that was not said yet, whatever region it was about."""
        if text not in self._said:
            self._said.add(text)
            say(text)

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


def open_cloud(settings: Aws, *, usual: Aws | None = None) -> Cloud:
    """The account that the settings name.

    Args:
        usual: the settings where nothing is typed; by default the same.
    """
    usual = usual or settings
    return Cloud(settings.profile, settings.region, Usual(usual.profile, usual.region))


def project_folder(folder: Path) -> Path:
    """The project around a folder: where its git checkout or `dl.yaml` is, else the folder."""
    for parent in (folder, *folder.parents):
        if (parent / ".git").exists():
            return parent
    file = find_project_file(folder)
    return file.parent if file else folder


def project_name(folder: Path) -> str:
    """The project's name, in letters that a tag and an ssh alias may have."""
    project = project_folder(folder)
    if project == Path.home():
        return FALLBACK
    return re.sub(r"[^A-Za-z0-9._-]+", "-", project.name).strip("-._")[:63] or FALLBACK


def box_name(settings: Aws, folder: Path) -> str:
    """The name of the box that a command is about.

    Raises:
        DlError: what was set can't be a name.
    """
    return project_name(folder) if settings.name is None else checked_name(settings.name)


def checked_name(name: str) -> str:
    """A box's name, where it can be one: it becomes a tag, a folder and an ssh alias.

    Raises:
        DlError: it can't.
    """
    if not _NAME.fullmatch(name):
        raise DlError(
            f"A box can't be called {name!r}",
            why="it takes letters, digits, `.`, `_` and `-`, 63 at most, a letter or digit first",
            hint="Name it by `-n NAME`.",
            exit_code=ExitCode.USAGE,
        )
    return name


@contextmanager
def told_if_stopped(cloud: Cloud, name: str) -> Iterator[None]:
    """Say at Ctrl-C within the block what goes on with a box that costs money, and what ends it."""
    try:
        yield
    except KeyboardInterrupt:
        options = cloud.named(name).options
        say(
            f"Stopped on the way: `dl aws up{options}` goes on, `dl aws down{options}` ends "
            f"{name}, which costs money meanwhile."
        )
        raise
