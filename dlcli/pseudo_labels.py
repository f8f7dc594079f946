"""Labels that a finished run gives to images that have none."""

from __future__ import annotations

from dlcli.config import Config
from dlcli.data.dataset import Dataset, whole_of
from dlcli.errors import DlError
from dlcli.files.paths import shown, typed
from dlcli.members import aligned
from dlcli.predict import predictions_of_needed
from dlcli.predictions import Predictions
from dlcli.runs.run import Run


def pseudo_labels_of(run: Run, config: Config, dataset: Dataset) -> Predictions:
    """What a run says of a dataset's test images, a column for each of its classes in order.

    Raises:
        DlError: other classes or another dataset than the run's own.
    """
    if set(run.classes()) != set(dataset.classes):
        raise DlError(
            f"{run.name} can't label the test images of {shown(dataset.root)}",
            why=f"it knows {', '.join(run.classes())}, not {', '.join(dataset.classes)}",
            hint="Name a run of this dataset: `--pseudo-label RUN`.",
        )
    if not dataset.splits["test"]:
        whole = whole_of(dataset.root)
        raise DlError(
            f"No images in {shown(dataset.root / 'test')}",
            why="so there are none to label" + "; a sample has no test images" * bool(whole),
            hint=f"Train on the whole dataset: `-d {typed(whole)}`."
            if whole
            else "Train without `--pseudo-label`.",
        )
    now = dataset.fingerprint("test")
    known = run.record()["dataset"]["fingerprints"]["test"], run.status().get("predicted", {})
    if run.dataset_path() != dataset.root and now not in (known[0], known[1].get("test")):
        raise DlError(
            f"{run.name} is a run of another dataset than {shown(dataset.root)}",
            why="the test images are not those that it knows",
            hint="Name a run of this dataset: `--pseudo-label RUN`.",
        )
    labels = predictions_of_needed(run, dataset.root, config, "test")
    return aligned([labels], dataset.classes)[0]
