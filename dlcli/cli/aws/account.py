"""The account and box that a `dl aws` command acts on."""

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

# The settings that choose the account; NAMED also chooses the box.
ACCOUNT = ("aws.profile", "aws.region")
NAMED = ("aws.name", *ACCOUNT)


def account(config: Config) -> tuple[Aws, Cloud]:
    """The settings, and the account that they name."""
    from dlcli.aws.cloud import open_cloud

    origins = {"flag", shown(config.file) if config.file else ""}
    usual = {key: value for key, value in config.values.items() if value.origin not in origins}
    settings = config.settings().aws
    return settings, open_cloud(settings, usual=config.with_values(usual).settings().aws)


def account_and_name(config: Config) -> tuple[Aws, Cloud, str]:
    """The settings, the account, and the box's name."""
    from dlcli.aws.cloud import box_name

    if config.is_flag("aws.name") and config.get("aws.name").value is None:
        raise DlError(
            "`-n` does not name a box",
            hint="Add a name, or leave `-n` out for the box of this project.",
            exit_code=ExitCode.USAGE,
        )
    name = box_name(config.settings().aws, Path.cwd())
    return *account(config), name


def require_effect(config: Config, cloud: Cloud, box: Box | None) -> None:
    """Refuse options that have no effect on an existing box.

    Raises:
        DlError: names the first such option, and what to do instead.
    """
    if box is None:
        return
    options = cloud.named(box.name).options
    how = f"end the box first: `dl aws down{options}`"
    if given := config.given_flags(("aws.disk", "aws.spot", "aws.image")):
        why = "it is fixed when a box is made"
    elif box.running and (given := config.given_flags(("aws.idle", "aws.max_hours"))):
        why = "it is set when a box starts"
        how = f"run `dl aws extend 4h{options}`, or stop the box first"
    else:
        return
    raise DlError(
        f"`{given[0]}` has no effect on {box.name}, which is already {box.state}",
        why=why,
        hint=f"Leave it out, or {how}.",
        exit_code=ExitCode.USAGE,
    )


def aligned(header: str, texts: Sequence[str]) -> list[str]:
    """Amounts, aligned to the right of their column."""
    width = max(map(len, [header, *texts]))
    return [text.rjust(width) for text in texts]


def limits(box: Box) -> str:
    """When a box reaches its time limit, in words. It then stops; a spot box ends."""
    from datetime import UTC, datetime, timedelta

    if box.until is None:
        return "its tags do not show when it stops"
    left = box.until - datetime.now(UTC) + timedelta(seconds=30)  # to the nearest minute
    ends = "ends and loses its disk" if box.spot else "stops"
    return f"{ends} in {span(left)}, even if it is busy"
