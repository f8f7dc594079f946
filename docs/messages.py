"""Print every text that `dl` can say, read from its source, for people who read them all.

`python -m docs.messages [PATH...]` prints errors and messages by package, with file and line;
`--help-pages` prints every command's help, 80 columns wide. [A | B] is one text or the other.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "dlcli"
COLUMNS = 80
# Two words beside each other.
WORDS = re.compile(r"[A-Za-z'`,] [A-Za-z]")
# What speaks to the user, errors apart.
SPEAKERS = {"say", "echo", "confirm"}
# What is wrong with a command line, in click's words.
ERRORS_OF_CLICK = {"UsageError", "BadParameter", "NoSuchOption", "ClickException"}


# Name and text of each, as `what` and `hint`.
Parts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Text:
    """One text in the source: where it stands, what says it, and its parts."""

    file: Path
    line: int
    speaker: str
    parts: Parts

    def __str__(self) -> str:
        where = f"{self.file.relative_to(PACKAGE.parent)}:{self.line} {self.speaker}"
        return "\n".join(
            [where, *(f"    {f'{name}: ' if name else ''}{t}" for name, t in self.parts)]
        )


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m docs.messages", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, default=[PACKAGE], metavar="PATH")
    parser.add_argument("--help-pages", action="store_true", help="print the help of all commands")
    args = parser.parse_args()
    if args.help_pages:
        print("\n\n".join(help_pages()))
        return
    for folder, found in groupby(texts(*args.paths), key=lambda text: text.file.parent):
        print(f"# {folder.relative_to(PACKAGE.parent)}\n")
        print("\n\n".join(map(str, found)), end="\n\n")


def help_pages() -> Iterator[str]:
    """Each command's help, as a terminal of 80 columns shows it."""
    from docs.generate import walk

    for ctx in walk():
        ctx.terminal_width = COLUMNS
        yield f"$ {ctx.command_path} --help\n{ctx.get_help()}"


def texts(*paths: Path) -> Iterator[Text]:
    """Every text below some paths, by package, file and line."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    errors = ERRORS_OF_CLICK | _errors([*trees.values()])
    wanted = [path.resolve() for path in paths]
    for path in sorted(trees, key=lambda path: (path.parent, path)):
        if any(path.is_relative_to(each) for each in wanted):
            found = _texts_of(trees[path], errors)
            yield from (Text(path, *each) for each in sorted(found, key=lambda each: each[0]))


def _errors(trees: list[ast.Module]) -> set[str]:
    """The names of the package's own errors, and of Python's."""
    known = {
        name
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while more := {c.name for c in classes if known & {*map(_name, c.bases)}} - known:
        known |= more
    return known


def _texts_of(tree: ast.Module, errors: set[str]) -> Iterator[tuple[int, str, Parts]]:
    """Line, speaker and parts of what the functions of a module say, or return to be said."""
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
        local = _assigned(scope)
        for node in _own_nodes(scope):
            match node:
                case ast.Call() if (speaker := _name(node.func)) in errors:
                    given = [("what", each) for each in node.args]
                    given += [(str(each.arg), each.value) for each in node.keywords]
                    given = [each for each in given if each[0] != "exit_code"]
                case ast.Call() if (speaker := _name(node.func)) in SPEAKERS:
                    given = [("", each) for each in node.args]
                case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
                    speaker, given = f"in {getattr(scope, 'name', '')}", [("", value)]
                    if isinstance(value, ast.Call) and _name(value.func) in errors:
                        continue
                case _:
                    continue
            if speaker == "DlError" or any(_says(value, local) for _, value in given):
                yield (
                    node.lineno,
                    speaker,
                    tuple((name, _shown(each, local)) for name, each in given),
                )


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """What stands in a module or function, but not in the functions inside."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, ast.FunctionDef):
            yield node
            yield from _own_nodes(node)


def _assigned(scope: ast.AST) -> dict[str, list[ast.expr]]:
    """Local names that texts are assigned to, with each of these texts."""
    found: dict[str, list[ast.expr]] = {}
    for node in _own_nodes(scope):
        if isinstance(node, ast.Assign):
            pairs = [pair for target in node.targets for pair in _pairs(target, node.value)]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign) and node.value is not None:
            pairs = [(node.target, node.value)]
        else:
            continue
        for target, value in pairs:
            if isinstance(target, ast.Name) and _says(value, {}):
                found.setdefault(target.id, []).append(value)
    return found


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The assignments that one statement makes: `why, hint = "...", "..."` makes two."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        yield from zip(target.elts, value.elts, strict=True)
    else:
        yield target, value


def _says(value: ast.expr, local: dict[str, list[ast.expr]]) -> bool:
    """Whether an expression holds words."""
    return any(
        (isinstance(node, ast.Constant) and WORDS.search(str(node.value)))
        or (isinstance(node, ast.Name) and node.id in local)
        for node in ast.walk(value)
    )


def _shown(value: ast.expr, local: dict[str, list[ast.expr]]) -> str:
    """A text as its reader meets it, {name} where a value goes."""
    match value:
        case ast.Constant(value=str(text)):
            return text.replace("\n", "\\n")
        case ast.JoinedStr():
            return "".join(_shown(each, local) for each in value.values)
        case ast.FormattedValue(value=ast.Name(id=name)) if name in local:
            return _shown(value.value, local)
        case ast.FormattedValue():
            return ast.unparse(ast.JoinedStr([value]))[2:-1]
        case ast.BinOp(op=ast.Add()):
            return _shown(value.left, local) + _shown(value.right, local)
        case ast.IfExp():
            return _one_of([value.body, value.orelse], local)
        case ast.BoolOp(op=ast.Or()):
            return _one_of(value.values, local)
        case ast.Name(id=name) if name in local:
            # an assignment may use the name itself
            return _one_of(local[name], {key: local[key] for key in local if key != name})
    return f"{{{ast.unparse(value)}}}"


def _one_of(values: list[ast.expr], local: dict[str, list[ast.expr]]) -> str:
    shown = [_shown(each, local) for each in values]
    return shown[0] if len(shown) == 1 else f"[{' | '.join(shown)}]"


def _name(node: ast.expr) -> str:
    """What is called: `say` of `progress.say`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


if __name__ == "__main__":
    main()
