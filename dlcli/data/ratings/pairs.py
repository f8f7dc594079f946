"""Files of pairs of a user and an item, whose ratings are to be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dlcli.data.ratings.columns import named_columns
from dlcli.data.ratings.ratings import PAIRS, TEST, Ratings
from dlcli.data.ratings.tables import open_table
from dlcli.errors import DlError
from dlcli.files.formats import damaged
from dlcli.files.own import require_own
from dlcli.files.paths import shown
from dlcli.words import first_of, short


def read_pairs(file: Path) -> tuple[list[str], list[str]]:
    """The ids of the users and the items in a file with a pair on each line.

    The columns have usual names, such as `user` and `movieId`. A file of two columns without names
    has users first.

    Raises:
        DlError: it is not a table, has no such columns, or no pairs.
    """
    table = open_table(file)
    found = named_columns(table)
    if not table.header and table.width == 2:
        found = {"user": 0, "item": 1}
    if not {"user", "item"} <= found.keys():
        names = [f"`{shown(short(name))}`" for name in table.header]
        raise DlError(
            f"Can't tell which columns of {shown(file)} hold the users and the items",
            why=f"of {first_of(names, 6)}, none has a usual name"
            if names
            else "its columns have no names",
            hint="Add a first line with the names of the columns, `user,item`.",
        )
    users: list[str] = []
    items: list[str] = []
    for block in table.blocks():
        users += block.columns[found["user"]]
        items += block.columns[found["item"]]
    if not users:
        raise DlError(f"{shown(file)} has no pairs", why="it holds nothing but its header")
    return users, items


@dataclass(frozen=True)
class PairsToPredict:
    """The pairs to predict of a dataset, as their file has them.

    Args:
        names: of the file's columns.
        columns: the cells of each column.
        user, item: the places of the columns of users and items.
    """

    names: tuple[str, ...]
    columns: tuple[list[str], ...]
    user: int
    item: int

    @property
    def users(self) -> list[str]:
        """The ids of the users."""
        return self.columns[self.user]

    @property
    def items(self) -> list[str]:
        """The ids of the items."""
        return self.columns[self.item]


def require_test(dataset: Ratings) -> None:
    """Refuse a dataset without pairs to predict.

    Raises:
        DlError: there are none.
    """
    if dataset.sizes[TEST]:
        return
    raise DlError(
        f"{shown(dataset.root)} has no pairs to predict",
        why="no file of pairs without ratings, such as test.csv, was beside its ratings",
        hint="Put it beside them, and organize them again: `dl data organize FILE DATASET`. To "
        "predict any pairs: `dl predict RUN --pairs FILE`.",
    )


def read_test(dataset: Ratings) -> PairsToPredict:
    """The pairs to predict, in the order of their file.

    Raises:
        DlError: there are none, or the file is damaged.
    """
    require_test(dataset)
    file = dataset.root / TEST / PAIRS
    require_own(file, dataset.root)
    table = open_table(file)
    columns: tuple[list[str], ...] = tuple([] for _ in range(table.width))
    for block in table.blocks():
        for cells, more in zip(columns, block.columns, strict=True):
            cells += more
    names = dataset.record.columns
    wanted = [names["user"], names["item"]]
    if not {*wanted} <= {*table.header} or len(columns[0]) != dataset.sizes[TEST]:
        raise damaged(
            file,
            f"expected {dataset.sizes[TEST]:,} rows with the columns {wanted[0]} and {wanted[1]}",
            "Organize the ratings again: `dl data organize FILE DATASET`.",
        )
    user, item = (table.header.index(str(name)) for name in wanted)
    return PairsToPredict(table.header, columns, user, item)
