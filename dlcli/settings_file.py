"""Files of settings: nested YAML as dotted keys; change one setting, keep the rest."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlcli.errors import DlError
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import amended, read_yaml, read_yaml_text, without
from dlcli.files.paths import PROJECT_FILE, config_home, shown
from dlcli.keys import TRAIN, declarations, declared, own_recipe_of
from dlcli.settings.fields import coerce, means_nothing, plain
from dlcli.trust import real, require
from dlcli.words import short, written

NO_PROJECT_FILE = f"An empty {PROJECT_FILE} is enough for a project."
# The block of a run's config.yaml that records when, where and with which software it ran.
RECORD = "run"


def user_file() -> Path:
    """The user's settings file: `~/.config/dl/config.yaml`."""
    return config_home() / "config.yaml"


def required(file: Path, hint: str = "") -> Path:
    """A file of settings, which is to be read or changed.

    Args:
        hint: what else the user can do.

    Raises:
        DlError: it is something else than a file.
    """
    if file.is_file():
        return file
    if file.is_symlink() and not file.exists():
        what, mend = f"is a link to {shown(file.readlink())}, which leads to nothing", "Mend"
    else:
        what, mend = "is not a file", "Move"
    raise DlError(f"{shown(file)} {what}", hint=f"{mend} or remove it. {hint}".rstrip())


def require_change(project: Path) -> None:
    """Require that a project's file may be changed: that it is one, and that any link is trusted.

    Raises:
        DlError: it is something else than a file.
        UntrustedError: it is a link out of the project, to a folder that is not trusted.
    """
    if os.path.lexists(project):
        goal = real(required(project, NO_PROJECT_FILE)).parent
        if goal != real(project.parent):
            require(goal, f"{shown(project)}, a link out of its project, is not changed")


def save_setting(file: Path, key: str, value: str) -> Any:
    """Write one setting to a YAML file, keep the rest; returns the written value.

    Args:
        file: the file; made if it is missing.
        value: as typed; a relative path is relative to the current folder.

    Raises:
        DlError: an unknown key, a wrong type, or not a file, or one that does not hold settings.
    """
    from dlcli.files.locks import alone_in  # not for those who only read settings

    setting = declared(key)
    try:
        checked = plain(coerce(value, replace(setting, name=key)))
    except DlError as error:
        if not means_nothing(value, setting):
            raise
        hint = f"For the default, {setting.text(setting.default)}: `dl config unset {key}`."
        raise DlError(error.what, why=error.why, hint=hint, exit_code=error.exit_code) from error
    file = real(file)  # so that a link, as for dotfiles, stays a link
    file.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(file.parent):
        text = ""
        if os.path.lexists(file):
            required(file)
            flattened(read_yaml(file), shown(file))  # fails: an unreadable file isn't overwritten
            text = read_yaml_text(file)
        atomic_write(file, amended(text, key.split(".", 2), checked))
    return checked


def remove_setting(file: Path, key: str) -> bool:
    """Remove one setting from a YAML file, keep the rest; returns whether it was there.

    An unknown setting in the file can be removed too, to mend the file. If nothing is left of the
    user's own file, it is removed.

    Raises:
        DlError: an unknown key, or not a file, or one that does not hold settings.
    """
    from dlcli.files.locks import alone_in

    named, file = file, real(file)
    if os.path.lexists(file):
        required(file)
        with alone_in(file.parent):
            if key in flattened(read_yaml(file), shown(file)):
                left = without(read_yaml_text(file), key.split("."))
                # an empty `dl.yaml` still makes its folder a project; a link would lead nowhere
                if left.strip() in ("", "{}") and file == named == user_file():
                    file.unlink()
                else:
                    atomic_write(file, left)
                return True
    declared(key)
    return False


def flattened(mapping: Any, origin: str, block: str = "") -> dict[str, Any]:
    """Convert nested YAML to dotted keys, without the record of a run.

    Raises:
        DlError: it is not nested like settings.
    """
    if mapping is None:
        return {}
    if not isinstance(mapping, dict):
        raise DlError(
            f"{origin} should hold lines of `key: value`",
            why=f"found {mapping!r:.40}",
            hint="Mend or remove the file.",
        )
    flat: dict[str, Any] = {}
    for name, value in mapping.items():
        key = f"{block}{name}"
        if key == RECORD:
            continue
        if "." in str(name):
            head, _, rest = str(name).partition(".")
            line = short(f"{rest}: {value}")
            raise DlError(
                f"{origin}: `{short(key)}` must be indented below `{short(head)}:`",
                why="a name with a dot is for `dl config`, not for a file",
                hint=f"Write `{short(head)}:` and, on the next line, `  {line}`.",
            )
        if isinstance(value, dict):
            flat |= flattened(value, origin, f"{key}.")
        elif below := _below(key):
            if value is not None:
                raise DlError(
                    f"{origin}: `{key}` holds other settings, not {written(value)}",
                    hint=f"Below it, write {below}.",
                )
        else:
            flat[key] = value
    return flat


def _below(key: str) -> str:
    """What to write below a key, in words; empty for a setting's own."""
    if f"{key}." == TRAIN:
        return "the name of a recipe and, below that, its hyperparameters"
    if own_recipe_of(key) and key.count(".") == 1:
        return "the recipe's hyperparameters, each as `name: value`"
    known = [each.split(".")[-1] for each in declarations() if each.startswith(f"{key}.")]
    return f"one or more of {', '.join(known)}, each as `name: value`" if known else ""
