"""`dl data get` over HTTP: a competition's data becomes a dataset, whatever happens on the way."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kaggle_server import Competition, KaggleServer, forget_kaggle, kaggle_serving, zip_of
from trees import tree
from typed import Dl, ok, refused

from dlcli import competition_data, fetching, kaggle_refusals
from dlcli.dataset import dataset_settings

SLUG = "dogs-vs-cats-redux-kernels-edition"
SAMPLE = b"id,label\n1,0.5\n2,0.5\n"
FILES: Mapping[str, bytes] = {
    "train.zip": zip_of(
        {f"train/{kind}.{i}.jpg": b"jpeg" * 4000 for kind in ("cat", "dog") for i in range(6)}
    ),
    "test.zip": zip_of({"test/1.jpg": b"1", "test/2.jpg": b"2"}),
    "sample_submission.csv": SAMPLE,
}


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    monkeypatch.setattr(kaggle_refusals, "DELAYS", (0.0, 0.0))
    monkeypatch.setattr(fetching, "DELAYS_SECONDS", (0.0, 0.0))
    with kaggle_serving(monkeypatch) as server:
        server.add(Competition(SLUG, files=dict(FILES)))
        yield server


@pytest.fixture
def archive(home: Path) -> Path:
    return home / f"data/.downloads/{SLUG}.zip"


def test_a_competition_becomes_a_dataset_that_knows_it(
    dl: Dl, server: KaggleServer, home: Path, archive: Path
) -> None:
    said = ok(dl("data", "get", SLUG, "--dataset", "pets"))
    root = home / "data/pets"
    assert dataset_settings(root) == {"kaggle": {"competition": SLUG}}
    assert (root / "sample_submission.csv").read_bytes() == SAMPLE
    assert sorted(path.name for path in (root / "train/cat").iterdir()) == [
        f"cat.{i}.jpg" for i in range(6)
    ]
    assert sorted(path.name for path in (root / "test").iterdir()) == ["1.jpg", "2.jpg"]
    assert "3 files, 0.2 MB (train.zip, test.zip, sample_submission.csv)" in said.stderr
    assert "stays in ~/data/.downloads/" in said.stderr
    assert "next: `dl data split`" in said.stderr
    assert archive.is_file()
    assert sorted(path.name for path in (home / "data").iterdir()) == [".downloads", "pets"]


def test_without_a_name_the_dataset_is_called_as_the_competition(
    dl: Dl, server: KaggleServer, home: Path, archive: Path
) -> None:
    said = ok(dl("data", "get", SLUG, "--remove-archive"))
    assert (home / "data" / SLUG / "train").is_dir()
    assert not archive.exists()
    assert "Removed ~/data/.downloads/" in said.stderr
    server.calls.clear()
    assert "organised already" in ok(dl("data", "get", SLUG)).stderr
    assert server.calls == []  # not fetched again, though the archive is gone


def test_a_connection_that_breaks_is_gone_on_with_in_this_call_and_in_the_next(
    dl: Dl, server: KaggleServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.break_download(70_000)
    ok(dl("data", "get", SLUG, "--dataset", "first"))
    whole = len(server.competitions[SLUG].whole())
    assert sum(server.storage.sent) <= whole + fetching.CHUNK
    server.storage.sent.clear()
    (home / f"data/.downloads/{SLUG}.zip").unlink()
    monkeypatch.setattr(fetching, "DELAYS_SECONDS", ())
    server.break_download(130_000)
    refused(dl("data", "get", SLUG, "--dataset", "second"), "the same command goes on from there")
    assert not (home / "data/second").exists()
    ok(dl("data", "get", SLUG, "--dataset", "second"))
    assert sum(server.storage.sent) <= whole + fetching.CHUNK
    assert tree(home / "data/first") == tree(home / "data/second")


def test_rules_that_were_not_accepted_are_said_with_their_page_and_nothing_is_left(
    dl: Dl, server: KaggleServer, home: Path
) -> None:
    server.competitions[SLUG].rules_accepted = False
    refused(dl("data", "get", SLUG), f"https://www.kaggle.com/c/{SLUG}/rules", "Accept them")
    assert not (home / "data" / SLUG).exists()
    server.competitions[SLUG].rules_accepted = True
    ok(dl("data", "get", SLUG))


def test_a_name_that_there_is_not_credentials_and_a_server_in_trouble_are_sentences(
    dl: Dl, server: KaggleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(dl("data", "get", "dog-breed"), "knows no competition 'dog-breed'", "`dog-breed-id")
    server.refuse("ListDataFiles", 500, "Oops", times=3)
    refused(dl("data", "get", SLUG), "a fault of its own now: it answers 500: Oops")
    server.refuse("DownloadDataFiles", 429, times=2)
    monkeypatch.delenv("KAGGLE_KEY")
    forget_kaggle()
    refused(dl("data", "get", SLUG), "No credentials for Kaggle", "kaggle.com/settings/api")
    monkeypatch.setenv("KAGGLE_KEY", "wrong")
    forget_kaggle()
    refused(dl("data", "get", SLUG), "does not take the credentials")


def test_room_for_the_archive_and_for_what_is_in_it_is_looked_for_first(
    dl: Dl, server: KaggleServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = len(server.competitions[SLUG].whole()) + 50_000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    refused(dl("data", "get", SLUG), "No room for the archive and what is in it")
    assert "Download" not in server.calls


def evil(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("train/cat.1.jpg", b"1")
        archive.writestr("train/dog.1.jpg", b"1")
        archive.writestr(name, b"evil")
    return content.getvalue()


def bomb() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/cat.1.jpg", b"1")
        archive.writestr("train/dog.1.jpg", bytes(1 << 29))
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [evil("../../escaped.jpg"), evil("/tmp/escaped.jpg"), bomb(), b"not a zip at all"],
    ids=["escape", "absolute", "bomb", "nonsense"],
)
def test_an_archive_that_attacks_does_nothing(
    dl: Dl, server: KaggleServer, home: Path, content: bytes
) -> None:
    server.competitions[SLUG].archive = content
    refused(dl("data", "get", SLUG), f"{SLUG}.zip is", f"`rm ~/data/.downloads/{SLUG}.zip`")
    files = {path for path in tree(home, hidden=True) if path.startswith("data/")}
    assert files == {f"data/.downloads/{SLUG}.zip"}
    assert not any(home.rglob("escaped*"))
    assert not Path("/tmp/escaped.jpg").exists()


def test_labels_in_a_csv_are_found_and_said(dl: Dl, server: KaggleServer, home: Path) -> None:
    server.competitions[SLUG].files = {
        "labels.csv": b"id,breed\na1,pug\nb2,beagle\n",
        "train/a1.jpg": b"1",
        "train/b2.jpg": b"2",
        "test/c3.jpg": b"3",
        "sample_submission.csv": b"id,beagle,pug\nc3,0.5,0.5\n",
    }
    said = ok(dl("data", "get", SLUG, "--dataset", "dogs"))
    assert (home / "data/dogs/train/pug/a1.jpg").is_file()
    assert "breed" in said.stderr


def test_what_the_dataset_says_of_another_competition_stays(
    dl: Dl, server: KaggleServer, home: Path
) -> None:
    server.competitions[SLUG].files["dataset.yaml"] = b"kaggle:\n  competition: another # mine\n"
    ok(dl("data", "get", SLUG, "--dataset", "pets"))
    assert dataset_settings(home / "data/pets") == {"kaggle": {"competition": "another"}}
    competition_data.name_competition(home / "data/pets", SLUG)
    assert "# mine" in (home / "data/pets/dataset.yaml").read_text()
