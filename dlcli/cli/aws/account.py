"""What the commands about boxes share: the account and the box that are meant, and words for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.config import Config
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import shown
from dlcli.words import span

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.settings.aws import Aws

# The settings that say which account is meant, and which of its boxes.
ACCOUNT = ("aws.profile", "aws.region")
NAMED = ("aws.name", *ACCOUNT)


def account(config: Config) -> tuple[Aws, Cloud]:
    """What every command begins with: settings, and the account that they name."""
    from dlcli.aws.cloud import open_cloud

    origins = {"flag", shown(config.file) if config.file else ""}
    usual = {key: value for key, value in config.values.items() if value.origin not in origins}
    settings = config.settings().aws
    return settings, open_cloud(settings, usual=config.with_values(usual).settings().aws)


def account_and_name(config: Config) -> tuple[Aws, Cloud, str]:
    """What every command about one box begins with: settings, account, the box's name."""
    from dlcli.aws.cloud import box_name

    if config.is_flag("aws.name") and config.get("aws.name").value is None:
        raise DlError(
            "`-n` names no box",
            hint="Without it, it is the one that is called as the folder.",
            exit_code=ExitCode.USAGE,
        )
    name = box_name(config.settings().aws, Path.cwd())
    return *account(config), name


def require_effect(config: Config, cloud: Cloud, box: Box | None) -> None:
    """Refuse options that a box which is there already can't take any more.

    Raises:
        DlError: names the first of them, and what does it.
    """
    if box is None:
        return
    options = cloud.named(box.name).options
    how = f"end it and rent another: `dl aws down{options}`"
    if given := config.given_flags(("aws.disk", "aws.spot", "aws.image")):
        why = "it is settled when a box is made"
    elif box.running and (given := config.given_flags(("aws.idle", "aws.max_hours"))):
        why = "a box takes its limits when it starts"
        how = f"`dl aws extend 4h{options}`, or stop it first"
    else:
        return
    raise DlError(
        f"`{given[0]}` has no effect on {box.name}, which is {box.state} already",
        why=why,
        hint=f"Leave it out; or {how}.",
        exit_code=ExitCode.USAGE,
    )


def aligned(header: str, texts: Sequence[str]) -> list[str]:
    """Amounts to the right in their column."""
    width = max(map(len, [header, *texts]))
    return [text.rjust(width) for text in texts]


def limits(box: Box) -> str:
    """When a box stops whatever happens, in words; a spot box ends then."""
    from datetime import UTC, datetime, timedelta

    if box.until is None:
        return "nothing but its watchdog stops it"
    left = box.until - datetime.now(UTC) + timedelta(seconds=30)  # to the nearest minute
    ends = "ends, disk and all," if box.spot else "stops"
    return f"{ends} in {span(left)} whatever it does"
