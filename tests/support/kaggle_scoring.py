"""How a competition scores what is sent: log loss and accuracy by scikit-learn.

A scorer takes the rows of a submission, header first, and gives the public score, or the public and
the private one; it raises ValueError with Kaggle's reason where the file won't do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Rows = list[list[str]]
Scorer = Callable[[Rows], float | tuple[float, float]]


def log_loss_of(
    solution: Mapping[str, str], positive: str | None = None, public_share: float = 1.0
) -> Scorer:
    """Score probabilities: one column, or one per class.

    Args:
        solution: id -> class.
        positive: the class whose probability the only column holds; None: a column per class, named
            by it.
        public_share: of the rows, the first ones, that count for the public score; the others count
            for the private one.
    """
    classes = sorted(set(solution.values()))

    def loss(ids: Sequence[str], values: Mapping[str, list[str]], header: list[str]) -> float:
        from sklearn.metrics import log_loss

        if positive is None:
            of = {name: header.index(name) for name in classes}
            table = [[float(values[each][of[name]]) for name in classes] for each in ids]
        else:
            chances = [float(values[each][0]) for each in ids]
            if any(not 0 <= chance <= 1 for chance in chances):
                raise ValueError("Submission contains a probability outside of [0, 1]")
            table = [[p if name == positive else 1 - p for name in classes] for p in chances]
        # clipped and rescaled "prior to being scored", as the competitions' pages say
        held = [[min(max(p, 1e-15), 1 - 1e-15) for p in row] for row in table]
        rescaled = [[p / sum(row) for p in row] for row in held]
        return float(log_loss([solution[each] for each in ids], rescaled, labels=classes))

    return _scorer(solution, classes if positive is None else None, loss, public_share)


def accuracy_of(solution: Mapping[str, str], public_share: float = 1.0) -> Scorer:
    """Score one column of class names; for the arguments see `log_loss_of`."""

    def accuracy(ids: Sequence[str], values: Mapping[str, list[str]], header: list[str]) -> float:
        from sklearn.metrics import accuracy_score

        found = [values[each][0] for each in ids]
        return float(accuracy_score([solution[each] for each in ids], found))

    return _scorer(solution, None, accuracy, public_share)


def _scorer(
    solution: Mapping[str, str],
    columns: list[str] | None,
    measure: Callable[[Sequence[str], Mapping[str, list[str]], list[str]], float],
    public_share: float,
) -> Scorer:
    ids = list(solution)
    n_public = round(len(ids) * public_share)

    def score(rows: Rows) -> float | tuple[float, float]:
        header, *rest = rows
        for column in columns or []:
            if column not in header:
                raise ValueError(f"Submission must have a column {column!r}")
        if len(header) != 1 + len(columns or [""]):
            raise ValueError(f"Submission must have {1 + len(columns or [''])} columns")
        if len(rest) != len(ids):
            raise ValueError(f"Submission must have {len(ids)} rows")
        values = {row[0]: row[1:] for row in rest}
        for each in ids:
            if each not in values:
                raise ValueError(f"Could not find the id {each!r} in the submission")
        public = measure(ids[:n_public], values, header[1:])
        if n_public == len(ids):
            return public
        return public, measure(ids[n_public:], values, header[1:])

    return score
