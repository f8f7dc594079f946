"""The templates of the pages, with their common style: self-contained HTML, all text escaped."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dlcli import words
from dlcli.files.paths import shown
from dlcli.version import __version__

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

HERE = Path(__file__).parent


class Script(NamedTuple):
    """A page's script.

    The browser runs only a script of this digest, whatever the names in the page contain.
    """

    text: Markup
    digest: str

    @classmethod
    def of(cls, name: str) -> Script:
        """The script in a file of this folder."""
        from markupsafe import Markup

        text = (HERE / name).read_text(encoding="utf-8")
        return cls(Markup(text), b64encode(sha256(text.encode()).digest()).decode())


@cache  # compiling the page takes most of the time that a report takes
def template(name: str) -> Template:
    """A page template in this folder, with the common style and number filters.

    All text is escaped, unprintable characters too.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def printable(value: object) -> object:
        # surrogates can't be encoded, and HTML drops a newline in a name
        if isinstance(value, bool):
            return "yes" if value else "no"
        return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        finalize=printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "loss": words.loss,
        "digits": "{:.4f}".format,
        "short": words.short,
        "counted": words.count,
    }
    shared = {"style": style_of("page.css"), "version": __version__}
    return environment.get_template(name, globals=shared)


def style_of(name: str) -> Markup:
    """The style in a file of this folder."""
    from markupsafe import Markup

    return Markup((HERE / name).read_text(encoding="utf-8"))
