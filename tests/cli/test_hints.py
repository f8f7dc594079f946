"""Every hint of the everyday path leads on: from each state of a dataset and of its runs."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.command_result import Dl, Result, ok, refused
from support.dot_images import TinyEngine
from support.pictures import make_dataset, make_pictures, picture
from support.quick_training import train_quickly

from dlcli.data import moves
from dlcli.features import compute
from dlcli.report import figures
from dlcli.report.photos import run_page
from dlcli.runs.run import Run

# How many commands an error may lead through until one works, and how many are typed in all.
MOST_STEPS = 3
MOST_TYPED = 10
# What only a person can fill in: DATASET, RUN, PHOTO...
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}\b|\.\.\.")
# These only list what there is.
LOOKING = ("dl data ls", "dl runs")

EVERYDAY = (
    "data ls tiny",
    "data split tiny",
    "data sample tiny",
    "features tiny",
    "features ls -d tiny",
    "train finetune -d tiny",
    "evaluate -d tiny",
    "submit -d tiny",
    "runs -d tiny",
    "runs --all",
    "runs best -d tiny",
    "runs show -d tiny",
    "runs compare -d tiny",
    "rerun -d tiny",
    "resume",
)
LAST_NAMED = ("data split", "features", "train finetune", "evaluate", "submit", "runs", "runs best")
OF_A_RUN = ("evaluate", "submit", "resume", "rerun", "runs show")
# These change nothing, however they end.
READING = ("dl data ls", "dl runs", "dl features ls")


class Scene:
    """A home with a dataset `tiny` in the data folder, in a state that is about to be made.

    Args:
        home: the test's.
        dl: the command line.

    `is_changed` is whether a command has changed anything since the state was made.
    """

    def __init__(self, home: Path, dl: Dl) -> None:
        self.home, self.dl = home, dl
        self.is_changed = False
        self.root = home / "data" / "tiny"

    def do(self, *commands: str) -> None:
        for command in commands:
            ok(self.dl(*shlex.split(command)))

    def make(self, train: int = 5, valid: int = 2, test: int = 2) -> None:
        make_dataset(self.root, train=train, valid=valid, test=test)

    def train(self, valid: int = 0, test: int = 2) -> None:
        """A finished run; without `valid` the dataset is split by `dl`."""
        self.make(valid=valid, test=test)
        self.do(*([] if valid else ["data split tiny"]), "train finetune -d tiny")

    def empty(self) -> None:
        for path in self.home.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @property
    def runs(self) -> list[Run]:
        return [Run(path) for path in sorted(self.home.glob("runs/*/*"))]

    def stop_run(self, state: str) -> None:
        (run,) = self.runs
        run.update_status(state=state, reason="Ctrl-C")


def nothing(scene: Scene) -> None:
    """No dataset."""


def gone(scene: Scene) -> None:
    scene.make()
    scene.do("data ls tiny")
    shutil.rmtree(scene.root)


def flat(scene: Scene) -> None:
    """A download that is not organised: train/cat.1.png."""
    (scene.root / "train").mkdir(parents=True)
    for kind, name in enumerate(("cat", "dog")):
        for seed in range(4):
            picture(kind, seed).save(scene.root / f"train/{name}.{seed}.png")


def nameless(scene: Scene) -> None:
    """A download whose labels are nowhere."""
    (scene.root / "train").mkdir(parents=True)
    picture(0, 0).save(scene.root / "train/0.png")


def class_folders(scene: Scene) -> None:
    make_pictures(scene.root, each=4)


def val(scene: Scene) -> None:
    scene.make()
    (scene.root / "valid").rename(scene.root / "val")


def archive(scene: Scene) -> None:
    made = make_dataset(scene.home / "made" / "tiny", valid=0)
    scene.root.mkdir(parents=True)
    shutil.make_archive(str(scene.root / "tiny"), "zip", made)


def deep(scene: Scene) -> None:
    scene.make(valid=0)
    make_pictures(scene.root / "train/cat", ("tabby",), 2)


def empty(scene: Scene) -> None:
    scene.root.mkdir(parents=True)


def unsplit(scene: Scene) -> None:
    scene.make(valid=0)


def stopped_split(scene: Scene) -> None:
    """`dl data split` was stopped amid its moves."""
    scene.make(valid=0)
    real, done = moves._TRANSFER["move"], []

    def once(source: str, target: str) -> bool:
        if done:
            raise KeyboardInterrupt
        done.append(source)
        return real(source, target)

    moves._TRANSFER["move"] = once
    try:
        refused(scene.dl("data", "split", "tiny"), exit_code=130)
    finally:
        moves._TRANSFER["move"] = real


def split(scene: Scene) -> None:
    scene.make(valid=0)
    scene.do("data split tiny")


def split_before(scene: Scene) -> None:
    """It came with a valid/."""
    scene.make()


def untested(scene: Scene) -> None:
    scene.make(test=0)


def half_valid(scene: Scene) -> None:
    scene.make()
    shutil.rmtree(scene.root / "valid/dog")


def strange_valid(scene: Scene) -> None:
    scene.make()
    make_pictures(scene.root / "valid", ("cat", "dog", "fox"), 1)


def one_class(scene: Scene) -> None:
    scene.make(valid=0)
    shutil.rmtree(scene.root / "train/dog")


def one_each(scene: Scene) -> None:
    """No class has an image to spare for valid/."""
    scene.make(train=1, valid=0)


def sampled(scene: Scene) -> None:
    split(scene)
    scene.do("data sample tiny --train 4 --valid 2")


def sample_named(scene: Scene) -> None:
    """The sample is the dataset last named, and has a run."""
    sampled(scene)
    scene.do("train finetune -d tiny-sample")


def sample_outdated(scene: Scene) -> None:
    sampled(scene)
    scene.do("data undo tiny")


def features_part(scene: Scene) -> None:
    split(scene)
    scene.do("features tiny")
    for path in scene.root.glob("features/*/valid*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def features_damaged(scene: Scene) -> None:
    split(scene)
    scene.do("features tiny")
    for path in [path for path in scene.root.glob("features/**/*") if path.is_file()]:
        path.write_bytes(b"")


def unreadable(scene: Scene) -> None:
    scene.make()
    (scene.root / "valid/cat/cat.1000.png").write_bytes(b"\x89PNG\r\n\x1a\n")


def interrupted(scene: Scene) -> None:
    scene.train()
    scene.stop_run("interrupted")


def failed(scene: Scene) -> None:
    scene.train()
    scene.stop_run("failed")


def trained(scene: Scene) -> None:
    scene.train()


def reported(scene: Scene) -> None:
    scene.train(valid=2)
    scene.do("evaluate -d tiny")


def reported_untested(scene: Scene) -> None:
    scene.train(valid=2, test=0)
    scene.do("evaluate -d tiny")


def split_undone(scene: Scene) -> None:
    scene.train()
    scene.do("data undo tiny")


def run_moved(scene: Scene) -> None:
    """The dataset of the run is elsewhere now."""
    scene.train()
    (scene.home / "elsewhere").mkdir()
    scene.root.rename(scene.home / "elsewhere" / "tiny")


def interrupted_moved(scene: Scene) -> None:
    run_moved(scene)
    scene.stop_run("interrupted")


def status_damaged(scene: Scene) -> None:
    scene.train()
    scene.runs[0].status_file.write_text("")


def config_damaged(scene: Scene) -> None:
    scene.train()
    scene.runs[0].config_file.write_text("a: [")


def ensemble(scene: Scene) -> None:
    scene.train()
    scene.do("train finetune -d tiny --seed 1")
    scene.do("ensemble " + " ".join(run.name for run in scene.runs))


def member_gone(scene: Scene) -> None:
    ensemble(scene)
    shutil.rmtree(next(run.path for run in scene.runs if not run.is_ensemble))
    (made,) = (run.path for run in scene.runs if run.is_ensemble)
    shutil.rmtree(made / "predictions")


def other_named(scene: Scene) -> None:
    """Another dataset was named last."""
    make_dataset(scene.home / "data" / "other", train=2, valid=1, test=0)
    scene.make()
    scene.do("train finetune -d other")


def other_named_unorganised(scene: Scene) -> None:
    make_dataset(scene.home / "data" / "other", train=2, valid=1, test=0)
    class_folders(scene)
    scene.do("train finetune -d other")


STATES = (
    nothing,
    gone,
    flat,
    nameless,
    class_folders,
    val,
    archive,
    deep,
    empty,
    unsplit,
    stopped_split,
    split,
    split_before,
    untested,
    half_valid,
    strange_valid,
    one_class,
    one_each,
    sampled,
    sample_named,
    sample_outdated,
    features_part,
    features_damaged,
    unreadable,
    interrupted,
    failed,
    trained,
    reported,
    reported_untested,
    split_undone,
    run_moved,
    interrupted_moved,
    status_damaged,
    config_damaged,
    ensemble,
    member_gone,
    other_named,
    other_named_unorganised,
)


@pytest.fixture
def scene(
    home: Path, dl: Dl, small_backbone: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    """Trainings end at once, features are an image's mean colour, reports have no figures."""
    train_quickly(monkeypatch)
    monkeypatch.setattr(compute, "start_engine", TinyEngine().start)
    for module, name in (
        (run_page, "draw_gallery"),
        (run_page, "draw_confusion"),
        (figures, "draw_curves"),
        (figures, "draw_comparison"),
    ):
        monkeypatch.setattr(module, name, lambda *given: None)
    yield Scene(home, dl)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_hint_leads_on(scene: Scene, tmp_path: Path, state: Callable[[Scene], None]) -> None:
    state(scene)
    shutil.copytree(scene.home, tmp_path / "home", symlinks=True)
    commands = [*EVERYDAY]
    if state in (nothing, gone, sample_named, run_moved, other_named, other_named_unorganised):
        commands += LAST_NAMED
    if runs := [run.name for run in scene.runs]:
        named = next((name for name in runs if "ensemble" in name), runs[-1])
        commands += [f"{command} {named}" for command in OF_A_RUN]
    stuck = []
    for command in commands:
        scene.is_changed = False
        if said := followed(scene, f"dl {command}"):
            stuck.append("\n".join(said))
        if scene.is_changed:
            scene.empty()  # not the folder itself: it is the current one
            shutil.copytree(tmp_path / "home", scene.home, symlinks=True, dirs_exist_ok=True)
    assert not stuck, "\n\n".join(stuck)


def followed(scene: Scene, first: str) -> list[str]:
    """Follow what a command advises, then type it again; what was said, if that leads nowhere."""
    told: list[str] = []
    errors: dict[str, str] = {}
    steps, aim = [first], first
    while steps:
        command = steps[-1]
        result = type_in(scene, command, told)
        advised = advice(result)
        if result.exit_code == 0:
            steps.pop()
            if command == aim and command not in errors:  # now what it calls the next step
                steps, aim = advised, ""
        elif not advised:
            return []
        elif errors.get(command) == result.stderr or len(told) > MOST_TYPED:
            return [*told, "It leads nowhere."]
        else:
            errors[command] = result.stderr
            if is_another_aim(advised[0], command):
                steps, aim = advised, advised[0]
            elif len(steps) > MOST_STEPS:
                return [*told, "It is too far."]
            else:
                steps += advised
    return []


def is_another_aim(advised: str, command: str) -> bool:
    """Whether a command is advised after which the first one may still fail.

    It lists what there is; or does the same for another run or dataset; or makes a new run, where
    the one that was named is no good.
    """
    if advised.startswith(LOOKING) or advised.split()[1] == command.split()[1]:
        return True
    names_run = re.search(r"\d{12}-", command) is not None
    return names_run and advised.split()[1] in ("rerun", "train", "ensemble", "evaluate")


def advice(result: Result) -> list[str]:
    """The first command that a result advises, unless a person has to complete it."""
    said = result.stderr
    if result.exit_code == 0:
        said = said[said.lower().rfind("next") :]
    found = re.findall(r"`(dl [^`]+)`", said)
    return [each for each in found if not PLACEHOLDER.search(each)][:1]


def type_in(scene: Scene, command: str, told: list[str]) -> Result:
    """Type a command, and add what it says to what was told."""
    words = shlex.split(command.replace("~", str(scene.home)))
    result = scene.dl(*words[1:])
    scene.is_changed |= result.exit_code == 0 and not command.startswith(READING)
    told.append(f"$ {command}\n{result.stderr}")
    return result


def test_if_no_class_has_an_image_to_spare_nothing_asks_for_a_split(scene: Scene) -> None:
    one_each(scene)
    for command in ("data split tiny", "train finetune -d tiny", "features tiny"):
        said = scene.dl(*command.split()).stderr
        assert "Add images of the same classes to ~/data/tiny/train.\n" in said
        assert "`dl data split" not in said


def test_a_dataset_of_one_class_is_told_what_training_needs(scene: Scene) -> None:
    one_class(scene)
    for command in ("data split tiny", "features tiny"):
        said = ok(scene.dl(*command.split())).stderr
        assert "training needs at least two classes. Add a second folder of images" in said
        assert "next: " not in said


def test_a_hint_names_the_dataset_if_another_was_named_last(scene: Scene) -> None:
    other_named_unorganised(scene)
    for command in ("evaluate", "runs", "runs best", "runs show", "features ls"):
        said = scene.dl(*command.split(), "-d", "tiny").stderr
        assert " -d ~/data/tiny`" in said


def test_a_lack_of_test_images_is_said_before_a_run_is_trained(scene: Scene) -> None:
    untested(scene)
    said = refused(scene.dl("submit", "-d", "tiny"), "No images in ~/data/tiny/test").stderr
    assert "dl train" not in said


def test_of_an_ensemble_a_member_that_is_there_is_advised(scene: Scene) -> None:
    member_gone(scene)
    made, left = scene.runs
    said = refused(scene.dl("rerun", made.name), f"`dl rerun {left.name}`").stderr
    assert f"They are {left.name}.\n" in said
    shutil.rmtree(left.path)
    refused(scene.dl("rerun", made.name), "All of its members are gone.")
