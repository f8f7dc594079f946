"""`dl evaluate` as it is typed: what comes next."""

from __future__ import annotations

from pathlib import Path

from pictures import make_dataset
from typed import Dl, ok

LINEAR = ("train", "linear", "--image-size", "16", "--schedule", "1e-3")


def test_after_the_sample_comes_the_whole_dataset(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("data", "sample", tiny, "--train", "8", "--valid", "4"))
    ok(dl(*LINEAR, "-d", "tiny-sample"))
    said = ok(dl("evaluate")).stderr
    assert said.endswith("; this was the sample; next: `dl train linear -d ~/data/tiny`\n")


def test_without_test_images_there_is_nothing_to_submit(dl: Dl, home: Path) -> None:
    pets = make_dataset(home / "data" / "pets", train=4, valid=2, test=0)
    ok(dl(*LINEAR, "-d", pets))
    said = ok(dl("evaluate")).stderr
    assert said.endswith("; there are no test images to submit\n")
