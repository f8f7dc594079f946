"""What leads to a box's services: Jupyter's token, and a word where nothing listens."""

from __future__ import annotations

import json
import os
import socket

from support.sshd import ADDRESS, Sshd, free_port

from dlcli.aws.forward import Page, Tunnel, pages


def say_of_itself(sshd: Sshd, pid: int, age: float = 0, **server: object) -> None:
    """Write what a Jupyter server writes where it runs."""
    folder = sshd.home / ".local" / "share" / "jupyter" / "runtime"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"jpserver-{pid}.json"
    file.write_text(json.dumps({"base_url": "/", "token": "", "secure": False} | server))
    os.utime(file, (1e9 - age, 1e9 - age))


def test_jupyters_page_holds_the_token_of_the_server_at_that_port(sshd: Sshd) -> None:
    with socket.create_server((ADDRESS, 0)) as there:
        port = there.getsockname()[1]
        say_of_itself(sshd, 1, age=60, port=port, token="old")
        say_of_itself(sshd, 2, port=port, token="a/b&c")
        say_of_itself(sshd, 3, port=port + 1, token="another's")
        for number, text in enumerate(['{"port"', "[" * 100_000, '{"port": 1e999}'], 4):
            (sshd.home / f".local/share/jupyter/runtime/jpserver-{number}.json").write_text(text)
        (page,) = pages(sshd.host(), [Tunnel("jupyter", 9999, port)])
    assert str(page) == "jupyter http://127.0.0.1:9999/lab?token=a%2Fb%26c"
    assert page.answers


def test_a_server_with_a_password_or_none_at_all_has_a_plain_page(sshd: Sshd) -> None:
    with socket.create_server((ADDRESS, 0)) as there:
        port = there.getsockname()[1]
        say_of_itself(sshd, 1, port=port, password=True)
        found = pages(sshd.host(), [Tunnel("jupyter", 1, port), Tunnel("", 2, port)])
    assert list(map(str, found)) == ["jupyter http://127.0.0.1:1", "http://127.0.0.1:2"]


def test_where_nothing_listens_it_is_said(sshd: Sshd) -> None:
    host = sshd.host()
    (page,) = pages(host, [Tunnel("", 5000, free_port())])
    assert not page.answers
    assert page.missing(host).endswith(f"of {host.alias} yet; the tunnel stays open.")
    jupyter = Page(Tunnel("jupyter", 8888, 8888), "http://127.0.0.1:8888", answers=False)
    assert "To see why: `dl aws ssh systemctl --user status dl-jupyter`." in jupyter.missing(host)


def test_a_machine_that_is_away_tells_nothing(sshd: Sshd) -> None:
    sshd.stop()
    (page,) = pages(sshd.host(), [Tunnel("jupyter", 8888, 8888)])
    assert (str(page), page.answers) == ("jupyter http://127.0.0.1:8888", True)
