"""HTML for Jupyter notebooks: a report in a frame, or a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

# Pixels; a report scrolls inside, and the notebook's other cells stay in sight.
REPORT_HEIGHT = 640


def html_frame(page: Path) -> str:
    """A page in a separate frame, so that its styles and scripts do not affect the notebook."""
    content = escape(page.read_text(encoding="utf-8"), quote=True)
    style = f"width:100%;height:{REPORT_HEIGHT}px;border:0"
    return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{content}"></iframe>'


def html_table(header: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A table. A missing value is an empty cell; a float has four digits."""

    def line(tag: str, cells: Sequence[Any]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(_text(cell))}</{tag}>" for cell in cells) + "</tr>"

    top = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(line("td", cells) for cells in rows)
    return f"<table>{top}<thead>{line('th', header)}</thead><tbody>{body}</tbody></table>"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
