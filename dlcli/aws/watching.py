"""What the watchdogs of several boxes say, asked at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dlcli.aws import arriving
from dlcli.aws.connecting import connect, run
from dlcli.aws.host_keys import known
from dlcli.aws.keys import own_key
from dlcli.aws.provisioning import STATUS, Watched, read_watchdog
from dlcli.errors import DlError

if TYPE_CHECKING:
    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.settings.aws import Aws

# A list isn't worth a longer wait; whose port 22 is closed to this address doesn't answer at all.
SECONDS = 4.0


def watched(cloud: Cloud, boxes: Sequence[Box], settings: Aws) -> dict[str, Watched]:
    """Id of a box -> what its watchdog says, of those that this machine can ask."""
    asked = [box for box in boxes if box.state == "running" and box.address and known(box.id)]
    if not asked:
        return {}
    key = own_key(settings.ssh_key)

    def ask(box: Box) -> Watched | None:
        try:
            client = connect(arriving.host_of(cloud, box, key), SECONDS)
        except DlError:
            return None
        try:
            return read_watchdog(run(client, STATUS, seconds=SECONDS)[1])
        except DlError:
            return None
        finally:
            client.close()

    with ThreadPoolExecutor(max_workers=min(len(asked), 16)) as pool:
        answers = list(pool.map(ask, asked))
    return {box.id: said for box, said in zip(asked, answers, strict=True) if said is not None}
