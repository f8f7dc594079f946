"""Why Kaggle's own client finds no credentials that serve, in words; nothing of them is shown."""

from __future__ import annotations

import json
import os
from pathlib import Path

from dlcli.errors import DlError
from dlcli.files.paths import shown

TOKEN = "KAGGLE_API_TOKEN"
USER, KEY = "KAGGLE_USERNAME", "KAGGLE_KEY"
STEPS = (
    "1. Generate a token at https://www.kaggle.com/settings/api\n"
    f"2. Save it as ~/.kaggle/access_token (or: export {TOKEN}=TOKEN)\n"
    "3. Run the same command again."
)


def no_credentials() -> DlError:
    """What is wrong with what there is, in the order in which the client looks."""
    saved = Path("~/.kaggle/access_token")
    for where, is_there in ((TOKEN, bool(os.environ.get(TOKEN))), (shown(saved), _holds(saved))):
        if is_there:
            what = "Kaggle does not take the access token"
            return DlError(what, why=f"the one in {where} is not valid", hint=STEPS)
    given = [name for name in (USER, KEY) if os.environ.get(name)]
    if len(given) == 1:
        (other,) = {USER, KEY} - set(given)
        why = f"{given[0]} is set, and {other} is not"
    elif file := _key_file():
        why = f"{shown(file)} does not hold a `username` and a `key`"
    else:
        why = "none are in its files or in the environment"
    return DlError("No credentials for Kaggle", why=why, hint=STEPS)


def _holds(file: Path) -> bool:
    try:
        return bool(file.expanduser().read_text(errors="replace").strip())
    except OSError:
        return False


def _key_file() -> Path | None:
    """The legacy key's file, where there is one that serves nothing; see the client's own order."""
    folders = [os.environ.get("KAGGLE_CONFIG_DIR"), "~/.kaggle"]
    folders.append(str(Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config") / "kaggle"))
    for folder in filter(None, folders):
        file = Path(folder).expanduser() / "kaggle.json"
        if not file.is_file():
            continue
        try:
            held = json.loads(file.read_bytes())
        except (OSError, ValueError):
            return file
        return None if isinstance(held, dict) and {"username", "key"} <= set(held) else file
    return None
