"""What Kaggle answers when it doesn't do what was asked: once more, or a sentence."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TypeVar

from dlcli.competitions import COMPETITIONS, rules_page
from dlcli.errors import DlError, did_you_mean
from dlcli.files.download import LONGEST_WAIT_SECONDS, reason, retry_after
from dlcli.progress import say

Answer = TypeVar("Answer")

# Pauses before another try, in seconds; Kaggle's own word, `Retry-After`, goes before.
DELAYS = (1.0, 3.0, 9.0)


class Missing(DlError):
    """Kaggle doesn't know what was asked for, or not yet."""


class Unclear(Exception):
    """No answer came, so that nobody knows whether the order was carried out.

    Args:
        error: what to say if it stays so.
    """

    def __init__(self, error: DlError) -> None:
        super().__init__(str(error))
        self.error = error


def asked(
    slug: str, ask: Callable[[], Answer], *, again: bool = True, ref: int | None = None
) -> Answer:
    """Ask Kaggle, and again where that may help.

    Args:
        slug: the competition that it is about; "" for none.
        ask: the call.
        again: whether it may be carried out twice.
        ref: the submission that it is about; None for none.

    Raises:
        DlError: Kaggle refuses, can't be reached, or goes on failing.
        Unclear: no answer came to a call that may not be carried out twice.
        TooManyRedirects: of `requests`, as it came.
    """
    from requests import RequestException, TooManyRedirects

    for delay in (*DELAYS, None):
        try:
            return ask()
        except TooManyRedirects:
            raise  # its caller asked for none
        except RequestException as error:
            answer = error.response
            code = 0 if answer is None else answer.status_code
            wait = retry_after(answer.headers) if answer is not None else 0.0
            refused = _refusal(slug, ref, error, code, wait)
            if code not in (0, 429) and code < 500:
                raise refused from error
            if not again and code != 429:
                raise Unclear(refused) from error
            if delay is None or wait > LONGEST_WAIT_SECONDS:
                raise refused from error
            if wait or delay:
                say(f"{refused.what}: {refused.why}. Trying again in {wait or delay:.0f} s.")
            time.sleep(wait or delay)
    raise AssertionError("the last try returns or raises")


def _refusal(slug: str, ref: int | None, error: Exception, code: int, wait: float) -> DlError:
    """What Kaggle's refusal means, and how to mend it."""
    said = " ".join(str(error).split()).rstrip(".")
    if code == 401:
        return DlError(
            "Kaggle does not take the credentials",
            why=said,
            hint="Make a new token at https://www.kaggle.com/settings/api and put it into "
            "~/.kaggle/access_token. A token there, or in KAGGLE_API_TOKEN, goes before a key in "
            "kaggle.json.",
        )
    if code == 403 and (not slug or re.search("rule|accept|permission|forbidden", said, re.I)):
        return DlError(
            f"Kaggle lets this account do nothing in {slug or 'the competition'} yet",
            why=f"its rules have probably not been accepted. Kaggle says: {said}",
            hint=f"Accept them at {rules_page(slug)} , then run the same command again.",
        )
    if code == 404 and ref is not None:
        return Missing(f"Kaggle knows no submission {ref} to {slug}", why=said)
    if code == 404:
        return Missing(
            f"Kaggle knows no competition {slug!r}",
            why=said,
            hint="Its name stands in its URL, https://www.kaggle.com/competitions/NAME . "
            + did_you_mean(slug, tuple(COMPETITIONS)),
        )
    if code == 429:
        minutes = f"{wait / 60:,.0f} minutes" if wait >= 120 else "some minutes"
        return DlError(
            "Kaggle asks to wait",
            why=f"too many calls in a short time. Kaggle says: {said}",
            hint=f"Run the same command again in {minutes}.",
        )
    if 400 <= code < 500:
        return DlError(
            f"Kaggle refuses that for {slug}",
            why=said,
            hint=f"What it takes stands at https://www.kaggle.com/c/{slug} ; whether the rules are "
            f"accepted, at {rules_page(slug)} .",
        )
    if code:
        return DlError(
            "Kaggle has a fault of its own now",
            why=f"it answers {code}: {said}",
            hint="Run the same command again in some minutes. https://www.kaggle.com/status",
        )
    return DlError(
        "Kaggle can't be reached",
        why=reason(error),
        hint="Check the connection, then run the same command again.",
    )
