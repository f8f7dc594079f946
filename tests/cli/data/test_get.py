"""`dl data get` over HTTP: a competition's data becomes a dataset, whatever happens on the way."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from support.children import killed_before_change
from support.command_result import Dl, ok, refused
from support.competition_entry import SAMPLE, SLUG
from support.kaggle_competition import zip_of
from support.kaggle_package import forget_kaggle
from support.kaggle_server import KaggleServer
from support.small_folders import plant, tree

from dlcli.data.dataset import dataset_settings
from dlcli.files import download
from dlcli.kaggle.account import open_kaggle
from dlcli.kaggle.data import archive_of, get
from dlcli.kaggle.destination import is_known

pytestmark = pytest.mark.slow


@pytest.fixture
def archive(home: Path) -> Path:
    return home / f"data/.downloads/{SLUG}.zip"


def test_a_competition_becomes_a_dataset_that_knows_it(
    dl: Dl, server: KaggleServer, home: Path, archive: Path
) -> None:
    said = ok(dl("data", "get", SLUG, "--dataset", "pets"))
    root = home / "data/pets"
    assert dataset_settings(root) == {"kaggle": {"competition": SLUG}}
    assert is_known(root, SLUG)  # so that `dl submit` need not ask
    assert (root / "sample_submission.csv").read_bytes() == SAMPLE
    assert sorted(path.name for path in (root / "train/cat").iterdir()) == [
        f"cat.{i}.jpg" for i in range(6)
    ]
    assert sorted(path.name for path in (root / "test").iterdir()) == ["1.jpg", "2.jpg"]
    assert "3 files, 193.5 kB (train.zip, test.zip, sample_submission.csv)" in said.stderr
    assert "Kept the archive ~/data/.downloads/" in said.stderr
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
    assert sum(server.storage.sent) <= whole + download.CHUNK_BYTES
    server.storage.sent.clear()
    (home / f"data/.downloads/{SLUG}.zip").unlink()
    monkeypatch.setattr(download, "DELAYS_SECONDS", ())
    server.break_download(130_000)
    refused(dl("data", "get", SLUG, "--dataset", "second"), "The same command resumes from there")
    assert not (home / "data/second").exists()
    ok(dl("data", "get", SLUG, "--dataset", "second"))
    assert sum(server.storage.sent) <= whole + download.CHUNK_BYTES
    assert tree(home / "data/first") == tree(home / "data/second")


def test_the_url_of_a_competition_names_it_too(dl: Dl, server: KaggleServer, home: Path) -> None:
    ok(dl("data", "get", f"https://www.kaggle.com/competitions/{SLUG}/data"))
    assert dataset_settings(home / "data" / SLUG) == {"kaggle": {"competition": SLUG}}


def test_the_url_of_something_else_names_none(dl: Dl, server: KaggleServer, home: Path) -> None:
    said = refused(dl("data", "get", "https://www.kaggle.com/datasets/me/pets"), exit_code=2)
    assert "does not name a competition" in said.stderr
    assert "`https://www.kaggle.com/c/NAME`" in said.stderr
    assert server.calls == []
    assert not (home / "data").exists()


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
    refused(
        dl("data", "get", "dog-breed"), "does not know a competition 'dog-breed'", "`dog-breed-id"
    )
    server.refuse("ListDataFiles", 500, "Oops", times=3)
    refused(dl("data", "get", SLUG), "a problem at the moment: it answers 500: Oops")
    monkeypatch.delenv("KAGGLE_KEY")
    forget_kaggle()
    refused(dl("data", "get", SLUG), "Kaggle's credentials are missing", "kaggle.com/settings/api")
    monkeypatch.setenv("KAGGLE_KEY", "wrong")
    forget_kaggle()
    refused(dl("data", "get", SLUG), "does not accept the credentials")


def test_a_download_that_kaggle_puts_off_is_asked_for_again(
    dl: Dl, server: KaggleServer, home: Path
) -> None:
    server.refuse("DownloadDataFiles", 429, times=2)
    ok(dl("data", "get", SLUG, "--dataset", "pets"))
    assert server.calls.count("DownloadDataFiles") == 3
    server.refuse("DownloadDataFiles", 429, times=3)
    refused(dl("data", "get", SLUG, "--dataset", "others"), "429")
    assert not (home / "data/others").exists()


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


OWN = b"kaggle:\n  competition: another # mine\n  positive: dog\n"


def test_the_competition_that_was_typed_wins_over_the_archives_own_and_it_is_said(
    dl: Dl, server: KaggleServer, home: Path
) -> None:
    server.competitions[SLUG].files["dataset.yaml"] = OWN
    said = ok(dl("data", "get", SLUG, "--dataset", "pets"))
    assert dataset_settings(home / "data/pets") == {
        "kaggle": {"competition": SLUG, "positive": "dog"}
    }
    assert "# mine" in (home / "data/pets/dataset.yaml").read_text()
    assert (
        f"~/data/pets/dataset.yaml now has the competition `{SLUG}` in place of `another`.\n"
    ) in said.stderr
    assert "now has the competition" not in ok(dl("data", "get", SLUG, "--dataset", "pets")).stderr


def test_a_dataset_that_was_made_and_never_named_its_competition_names_it_the_next_time(
    dl: Dl, server: KaggleServer, home: Path
) -> None:
    ok(dl("data", "get", SLUG, "--dataset", "pets", "--remove-archive"))
    (home / "data/pets/dataset.yaml").unlink()
    server.calls.clear()
    ok(dl("data", "get", SLUG, "--dataset", "pets"))
    assert dataset_settings(home / "data/pets") == {"kaggle": {"competition": SLUG}}
    assert server.calls == []


def test_the_competition_is_not_written_through_a_link_out_of_the_dataset(
    dl: Dl, server: KaggleServer, home: Path
) -> None:
    ok(dl("data", "get", SLUG, "--dataset", "pets", "--remove-archive"))
    file = home / "data/pets/dataset.yaml"
    file.unlink()
    file.symlink_to(home / "elsewhere.yaml")
    refused(dl("data", "get", SLUG, "--dataset", "pets"), "~/data/pets/dataset.yaml")
    assert file.is_symlink()
    assert not (home / "elsewhere.yaml").exists()
    (home / "elsewhere.yaml").write_text(f"kaggle: {{competition: {SLUG}}}\n")
    before = (home / "elsewhere.yaml").stat()
    ok(dl("data", "get", SLUG, "--dataset", "pets"))
    assert (home / "elsewhere.yaml").stat().st_ino == before.st_ino


def test_taken_back_it_is_made_again(dl: Dl, server: KaggleServer, home: Path) -> None:
    ok(dl("data", "get", SLUG, "--dataset", "pets"))
    before = tree(home / "data/pets")
    ok(dl("data", "undo"))
    ok(dl("data", "get", SLUG, "--dataset", "pets"))
    assert tree(home / "data/pets") == before


@pytest.mark.parametrize("taken", ["pets/mine.txt", "pets"])
def test_a_folder_that_is_taken_is_refused_before_anything_is_asked(
    dl: Dl, server: KaggleServer, home: Path, taken: str
) -> None:
    plant(home / "data", {taken: b"mine"})
    why = "is not empty" if "/" in taken else "is a file"
    refused(dl("data", "get", SLUG, "--dataset", "pets"), f"~/data/pets {why}", "`--dataset NAME`")
    assert server.calls == []
    assert tree(home / "data", hidden=True) == {taken: b"mine"}


@pytest.mark.forks
def test_killed_before_any_change_the_next_call_makes_a_whole_dataset_that_knows_its_competition(
    server: KaggleServer, home: Path
) -> None:
    server.competitions[SLUG].files = {
        "train.zip": zip_of({"train/cat.1.jpg": b"1", "train/dog.1.jpg": b"1"}),
        "test.zip": zip_of({"test/1.jpg": b"1"}),
        "sample_submission.csv": SAMPLE,
    }
    kaggle = open_kaggle()  # the package, too, is read only once

    def act(data: Path) -> None:
        get(lambda: kaggle, SLUG, archive_of(SLUG, data), data / "pets")

    act(home / "whole")
    whole = tree(home / "whole", hidden=True).keys()
    number, killed = 1, True
    while killed:
        data = home / str(number)
        killed = killed_before_change(number, partial(act, data))
        act(data)
        assert tree(data, hidden=True).keys() == whole, number
        assert tree(data) == tree(home / "whole")
        assert dataset_settings(data / "pets") == {"kaggle": {"competition": SLUG}}
        assert sorted(path.name for path in data.iterdir()) == [".downloads", "pets"]
        number += 1
    assert number > 60
