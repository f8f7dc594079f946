"""The files that `dl` keeps in a dataset besides its images: feature stores and journals."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dlcli.data.dataset import FEATURES, SPLITS
from dlcli.data.journal import FOLDER, NAME, is_left
from dlcli.files.own import others_in

# Of a feature store, which `features/store` and `features/split_log` write.
MANIFEST = "manifest.yaml"
LOCK = "lock"
# Rows of earlier states of the images, in numbered folders. They are kept until every split is
# finished, because an image may have moved to another split.
BEFORE = "before"
SUFFIXES = (".done", ".log", ".csv", ".bc")
# The paths of what bcolz makes in an array's folder.
ARRAY = r"__attrs__|meta|meta/(sizes|storage)|data|data/__\d+\.blp"
# The paths of what `dl` makes in a store's folder; all else there is somebody else's.
_FILES = rf"({'|'.join(SPLITS)})({'|'.join(map(re.escape, SUFFIXES))})"
SPLIT_FILES = rf"{_FILES}|({'|'.join(SPLITS)})\.bc/({ARRAY})"
ROWS = re.compile(rf"{SPLIT_FILES}|{BEFORE}|{BEFORE}/\d+|{BEFORE}/\d+/({SPLIT_FILES})")
STORE = re.compile(rf"{LOCK}|{re.escape(MANIFEST)}|{ROWS.pattern}")

_STORE_NAME = r"[^/]+-[0-9a-f]{8}"
_STORES = re.compile(rf"{_STORE_NAME}|{_STORE_NAME}/({STORE.pattern})")
_JOURNALS = re.compile(rf"lock|{NAME.pattern}")


def others_among_own(root: Path) -> list[Path]:
    """What lies in a dataset's `features/` and `.dl/`, or in their place, and is not `dl`'s."""
    others = []
    for folder, known in ((root / FEATURES, _STORES), (root / FOLDER, _JOURNALS)):
        if folder.is_dir() and not folder.is_symlink():
            others += others_in(folder, known)
        elif os.path.lexists(folder):
            others.append(folder)
    return [path for path in others if not is_left(path, root)]
