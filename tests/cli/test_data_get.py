"""`dl data get` over HTTP: a competition's data becomes a dataset, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from children import killed_before_change
from kaggle_server import Competition, KaggleServer, forget_kaggle, kaggle_serving, zip_of
from packing import encrypted, with_declared_size, zipped
from trees import Tree, plant, tree
from typed import Dl, ok, refused

from dlcli import fetching, kaggle_refusals
from dlcli.competition_data import archive_of, get
from dlcli.dataset import dataset_settings
from dlcli.kaggle import open_kaggle

Maker = Callable[[Path], Path]

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


def test_the_url_of_a_competition_names_it_too(dl: Dl, server: KaggleServer, home: Path) -> None:
    ok(dl("data", "get", f"https://www.kaggle.com/competitions/{SLUG}/data"))
    assert dataset_settings(home / "data" / SLUG) == {"kaggle": {"competition": SLUG}}


def test_the_url_of_something_else_names_none(dl: Dl, server: KaggleServer, home: Path) -> None:
    said = refused(dl("data", "get", "https://www.kaggle.com/datasets/me/pets"), exit_code=2)
    assert "names no competition" in said.stderr
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
    refused(dl("data", "get", "dog-breed"), "knows no competition 'dog-breed'", "`dog-breed-id")
    server.refuse("ListDataFiles", 500, "Oops", times=3)
    refused(dl("data", "get", SLUG), "a fault of its own now: it answers 500: Oops")
    monkeypatch.delenv("KAGGLE_KEY")
    forget_kaggle()
    refused(dl("data", "get", SLUG), "No credentials for Kaggle", "kaggle.com/settings/api")
    monkeypatch.setenv("KAGGLE_KEY", "wrong")
    forget_kaggle()
    refused(dl("data", "get", SLUG), "does not take the credentials")


def test_a_download_that_kaggle_puts_off_is_asked_for_again(
    dl: Dl, server: KaggleServer, home: Path
) -> None:
    server.refuse("DownloadDataFiles", 429, times=2)
    ok(dl("data", "get", SLUG, "--dataset", "pets"))
    assert server.calls.count("DownloadDataFiles") == 3
    server.refuse("DownloadDataFiles", 429, times=3)
    refused(dl("data", "get", SLUG, "--dataset", "others"), "429")
    assert not (home / "data/others").exists()


def free_at(monkeypatch: pytest.MonkeyPatch, free: Callable[[Path], int]) -> None:
    """Disks with so much room, by the folder that is asked about."""
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free(Path(path))))


def test_room_for_the_archive_and_for_what_is_in_it_is_looked_for_first(
    dl: Dl, server: KaggleServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = len(server.competitions[SLUG].whole())
    largest = len(FILES["train.zip"])  # is there once more while it is unpacked
    for free in (whole + 50_000, 2 * whole, 2 * whole + largest - 4096):
        free_at(monkeypatch, lambda path, free=free: free)
        refused(dl("data", "get", SLUG), "No room for the archive and what is in it: it takes 0.6")
        assert "DownloadDataFiles" not in server.calls
        assert not (home / "data").exists()
    free_at(monkeypatch, lambda path: 2 * whole + largest + 20_000)
    ok(dl("data", "get", SLUG))


def test_room_is_looked_for_on_each_disk(
    dl: Dl, server: KaggleServer, home: Path, other_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = len(server.competitions[SLUG].whole())
    there, here = [whole], [whole + 10_000]
    free_at(monkeypatch, lambda path: (there if path.is_relative_to(other_disk) else here)[0])
    words = ("data", "get", SLUG, "--dataset", other_disk / "pets")
    refused(dl(*words), "No room for what is in the archive", "the disk at /dev/shm has", "0.4 MB")
    there, here = [3 * whole], [whole - 10_000]
    refused(dl(*words), "No room for the archive in ~/data/.downloads", "`--data-dir`")
    here[0] = whole + 10_000
    ok(dl(*words))
    assert (other_disk / "pets/train/cat").is_dir()


def test_what_has_come_needs_no_room_again(
    dl: Dl, server: KaggleServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, largest = len(server.competitions[SLUG].whole()), len(FILES["train.zip"])
    monkeypatch.setattr(fetching, "DELAYS_SECONDS", ())
    server.break_download(150_000)
    refused(dl("data", "get", SLUG), "the same command goes on from there")
    free_at(monkeypatch, lambda path: 2 * whole + largest - 50_000)
    ok(dl("data", "get", SLUG))


TWO = {"train/cat.1.jpg": b"1", "train/dog.1.jpg": b"1"}


def bomb(path: Path) -> Path:
    return with_declared_size(zipped(path, {"train/cat.1.jpg": b"1"}), 4_000_000_000)


def nonsense(path: Path) -> Path:
    path.write_bytes(b"not a zip at all")
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: zipped(path, TWO | {"../../escaped.jpg": b"evil"}), "land outside of"),
        (lambda path: zipped(path, TWO | {"/tmp/escaped.jpg": b"evil"}), "land outside of"),
        (bomb, "more than 200 times its size"),
        (nonsense, "none of a zip or tar"),
        (encrypted, "needs a password"),
    ],
)
def test_an_archive_that_attacks_or_is_none_does_nothing_and_can_be_fetched_anew(
    dl: Dl, server: KaggleServer, home: Path, tmp_path: Path, make: Maker, says: str
) -> None:
    server.competitions[SLUG].archive = make(tmp_path / "a.zip").read_bytes()
    refused(dl("data", "get", SLUG), says, f"To fetch it anew: `rm ~/data/.downloads/{SLUG}.zip`")
    files = {path for path in tree(home, hidden=True) if path.startswith("data/")}
    assert files == {f"data/.downloads/{SLUG}.zip"}
    assert not any(home.rglob("escaped*"))
    assert not Path("/tmp/escaped.jpg").exists()


@pytest.mark.parametrize(
    ("words", "files", "says", "exit_code"),
    [
        (["--labels", "label.csv"], FILES, "No such file: label.csv", 1),
        ([], {"train/1.jpg": b"1", "train/2.jpg": b"2"}, "have no class in their names", 1),
        ([], {"readme.txt": b"nothing"}, f"then `dl data organize ~/data/.downloads/{SLUG}`", 1),
    ],
)
def test_what_fetching_anew_does_not_mend_is_not_to_be_fetched_anew(
    dl: Dl, server: KaggleServer, words: list[str], files: Tree, says: str, exit_code: int
) -> None:
    server.competitions[SLUG].files = dict(files)
    said = refused(dl("data", "get", SLUG, *words), says, exit_code=exit_code)
    assert "rm " not in said.stderr


def test_a_damaged_archive_is_to_be_fetched_anew_and_nothing_else(
    dl: Dl, server: KaggleServer
) -> None:
    whole = server.competitions[SLUG].whole()
    server.competitions[SLUG].archive = whole[: len(whole) // 2]
    assert refused(dl("data", "get", SLUG)).stderr.endswith(
        f"Nothing was unpacked. To fetch it anew: `rm ~/data/.downloads/{SLUG}.zip`, then the same "
        "command.\n"
    )


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
        f"~/data/pets/dataset.yaml named the competition `another`; now it names `{SLUG}`, as "
        "typed.\n"
    ) in said.stderr
    assert "named the competition" not in ok(dl("data", "get", SLUG, "--dataset", "pets")).stderr


def test_a_dataset_that_was_made_and_never_named_its_competition_names_it_the_next_time(
    dl: Dl, server: KaggleServer, home: Path
) -> None:
    ok(dl("data", "get", SLUG, "--dataset", "pets", "--remove-archive"))
    (home / "data/pets/dataset.yaml").unlink()
    server.calls.clear()
    ok(dl("data", "get", SLUG, "--dataset", "pets"))
    assert dataset_settings(home / "data/pets") == {"kaggle": {"competition": SLUG}}
    assert server.calls == []


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
        "train.zip": zip_of(TWO),
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
