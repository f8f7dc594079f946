"""Kaggle's API: credentials, calls and errors. The only user of the `kaggle` package.

Errors become a `DlError`. Calls that may be repeated are, with pauses. Credentials are never shown.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar

from dlcli.errors import DlError, did_you_mean
from dlcli.files import download  # `ANSWER_SECONDS` is read through it: tests set it
from dlcli.files.download import LONGEST_WAIT_SECONDS, reason, retry_after
from dlcli.files.formats import parse_json, read_bytes
from dlcli.files.paths import expanded, shown
from dlcli.kaggle.competitions import COMPETITIONS, DataFile, Limits, Sent, Standing, rules_page
from dlcli.kaggle.upload import Broken, upload
from dlcli.progress import say

PAGE_SIZE = 200
MOST_PAGES = 500

Answer = TypeVar("Answer")

# Pauses between attempts, in seconds; Kaggle's `Retry-After` takes precedence.
DELAYS = (1.0, 3.0, 9.0)

TOKEN = "KAGGLE_API_TOKEN"
USER, KEY = "KAGGLE_USERNAME", "KAGGLE_KEY"
STEPS = (
    "1. Generate a token at https://www.kaggle.com/settings/api\n"
    f"2. Save it as ~/.kaggle/access_token (or: export {TOKEN}=TOKEN)\n"
    "3. Run the same command again."
)


class Kaggle:
    """An account's view of competitions; `open_kaggle` makes one.

    Args:
        api: the package's authenticated client.
    """

    def __init__(self, api: Any) -> None:
        self._api = api

    def files(self, slug: str) -> list[DataFile]:
        """The files of a competition's data."""
        found: list[DataFile] = []
        for page in self._pages(slug, "list_data_files", "ApiListDataFilesRequest"):
            found += [DataFile(str(each.name), int(each.total_bytes)) for each in page.files]
        return found

    def download_url(self, slug: str) -> str:
        """The URL of a competition's data as one archive, valid for some minutes."""
        from requests import TooManyRedirects

        def not_followed(client: Any) -> None:
            # else the package starts the download itself, when only its URL is wanted
            client.http_client()._session.max_redirects = 0

        values: dict[str, Any] = {"prepare": not_followed, "competition_name": slug}
        try:
            self._call(slug, "download_data_files", "ApiDownloadDataFilesRequest", **values)
        except TooManyRedirects as stop:
            if stop.response is not None and (url := stop.response.headers.get("Location")):
                return str(url)
        raise DlError(
            f"Kaggle does not give the address of the data of {slug}",
            hint=f"Download it in a browser from https://www.kaggle.com/c/{slug}/data , then run "
            "`dl data organize ARCHIVE`.",
        )

    def limits(self, slug: str) -> Limits:
        """How many submissions are left today."""
        answer = self._call(
            slug, "get_submission_limits", "ApiGetSubmissionLimitsRequest", competition_name=slug
        )
        return Limits(answer.num_allowed_now, answer.num_today)

    def submit(self, slug: str, file: Path, message: str) -> int:
        """Send a file; returns the submission's number.

        If the answer to the last step is lost, Kaggle's list shows whether the file arrived. It is
        sent once more only if the list still lacks it.

        Args:
            file: the file, sent under its own name.
            message: shown with it on Kaggle.
        """
        before = {each.ref for each in self.submissions(slug)}
        token = self._uploaded(slug, file)

        def create() -> int:
            answer = self._call(
                slug,
                "create_submission",
                "ApiCreateSubmissionRequest",
                again=False,
                competition_name=slug,
                blob_file_tokens=token,
                submission_description=message,
            )
            return int(answer.ref)

        for is_last in (False, True):
            try:
                return create()
            except Unclear as unclear:
                if (ref := self._arrived(slug, file.name, before)) is not None:
                    return ref
                if is_last:
                    hint = (
                        f"Check with `dl kaggle sync -c {slug}` if it arrived. {unclear.error.hint}"
                    )
                    raise DlError(unclear.error.what, why=unclear.error.why, hint=hint) from unclear
        raise AssertionError("the last attempt returns or raises")

    def _arrived(self, slug: str, name: str, before: set[int]) -> int | None:
        """The number of a new submission of that file; None if there is none.

        It asks several times, because Kaggle's list may be out of date for a while.
        """
        for delay in DELAYS:
            time.sleep(delay)
            new = [each for each in self.submissions(slug) if each.ref not in before]
            if mine := [each.ref for each in new if each.file_name == name]:
                return max(mine)
        return None

    def submission(self, slug: str, ref: int) -> Sent:
        """The present state of a submission."""
        return _sent(self._call(slug, "get_submission", "ApiGetSubmissionRequest", ref=ref))

    def submissions(self, slug: str) -> list[Sent]:
        """All submissions of the account's team, newest first."""
        found: list[Sent] = []
        for page in self._pages(slug, "list_submissions", "ApiListSubmissionsRequest"):
            found += map(_sent, page.submissions)
        return found

    def leaderboard(self, slug: str) -> list[Standing]:
        """The public leaderboard, best first."""
        found: list[Standing] = []
        for page in self._pages(slug, "get_leaderboard", "ApiGetLeaderboardRequest"):
            for each in page.submissions:
                score = _number(each.score)
                if score is not None:
                    found.append(Standing(str(each.team_name or each.team_id), score))
        return found

    def _pages(self, slug: str, method: str, request: str) -> Iterator[Any]:
        """All pages of a list."""
        token = ""
        for _ in range(MOST_PAGES):
            page = self._call(
                slug, method, request, competition_name=slug, page_size=PAGE_SIZE, page_token=token
            )
            yield page
            following = page.next_page_token or ""
            if not following or following == token:
                return
            token = following

    def _uploaded(self, slug: str, file: Path) -> str:
        """Upload a file to Kaggle's storage host; returns its token there."""
        status, begun, why = file.stat(), None, ""
        for delay in (0.0, *DELAYS):
            time.sleep(delay)
            resume = begun is not None
            begun = begun or self._call(
                slug,
                "start_submission_upload",
                "ApiStartSubmissionUploadRequest",
                competition_name=slug,
                file_name=file.name,
                content_length=status.st_size,
                last_modified_epoch_seconds=int(status.st_mtime),
            )
            try:
                upload(file, begun.create_url, resume=resume)
                return str(begun.token)
            except Broken as broken:
                why, begun = broken.why, None if broken.begin_anew else begun
        raise DlError(
            f"{file.name} could not be uploaded to Kaggle",
            why=why,
            hint="Nothing was submitted. Run the same command again in some minutes.",
        )

    def _call(
        self,
        slug: str,
        method: str,
        request: str,
        *,
        again: bool = True,
        prepare: Callable[[Any], None] | None = None,
        **values: Any,
    ) -> Any:
        """Call one method of the API.

        Args:
            slug: the competition, for errors.
            request: the class of the request.
            again: whether the request may be sent twice; if not, a lost answer raises `Unclear`.
            prepare: changes the package's client before the call.
            values: the request's fields; empty text is left out.
        """
        from kagglesdk.competitions.types import competition_api_service as types

        message = getattr(types, request)()
        for name, value in values.items():
            if value != "":
                setattr(message, name, value)

        def ask() -> Any:
            with _unheard(), self._api.build_kaggle_client() as client:
                _limit_waiting(client)
                if prepare:
                    prepare(client)
                return getattr(client.competitions.competition_api_client, method)(message)

        return asked(slug, ask, again=again, ref=values.get("ref"))


def open_kaggle() -> Kaggle:
    """Log in the way Kaggle's own client does.

    Raises:
        DlError: there are no credentials, or Kaggle does not accept them.
    """

    def authenticated() -> Any:
        with _unheard() as said:
            import kaggle  # logs in, and hides the reason if that fails

            if not getattr(kaggle.api, "_authenticated", False):
                kaggle.api.authenticate()
        for line in said.getvalue().splitlines():
            if line.startswith("Warning"):  # other users can read the key's file
                say(line)
        return kaggle.api

    try:
        return Kaggle(asked("", authenticated))
    except (SystemExit, TypeError) as error:  # the package does this without credentials
        raise no_credentials() from error


def _sent(answer: Any) -> Sent:
    date = answer.date
    return Sent(
        ref=int(answer.ref),
        file_name=str(answer.file_name or ""),
        state=answer.status.name.lower(),
        public_score=_number(answer.public_score),
        private_score=_number(answer.private_score),
        reason=" ".join(str(answer.error_description or "").split()),
        date=date.replace(tzinfo=date.tzinfo or UTC) if date else None,
        message=str(answer.description or ""),
    )


def _number(text: Any) -> float | None:
    """A score, which Kaggle gives as text; None if it is not a finite number."""
    from math import isfinite

    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if isfinite(value) else None


@contextmanager
def _unheard() -> Iterator[io.StringIO]:
    """Keep the package's messages from stdout, which is for results."""
    with redirect_stdout(io.StringIO()) as said:
        yield said


def _limit_waiting(client: Any) -> None:
    """Set a time limit for answers, because `kagglesdk` waits forever."""
    from requests.adapters import HTTPAdapter

    class Patient(HTTPAdapter):
        def send(self, *args: Any, **options: Any) -> Any:
            return super().send(*args, **{**options, "timeout": download.ANSWER_SECONDS})

    session = client.http_client()._session
    session.mount("https://", Patient())
    session.mount("http://", Patient())


class Missing(DlError):
    """Kaggle does not know the competition or submission, or not yet."""


class Unclear(Exception):
    """No answer came, so the request may or may not have been carried out.

    Args:
        error: the error to raise if that cannot be found out.
    """

    def __init__(self, error: DlError) -> None:
        super().__init__(str(error))
        self.error = error


def asked(
    slug: str, ask: Callable[[], Answer], *, again: bool = True, ref: int | None = None
) -> Answer:
    """Call Kaggle, and repeat the call after a temporary failure.

    Args:
        slug: the competition, for errors; "" for none.
        again: whether the call may be carried out twice.
        ref: the submission, for errors; None for none.

    Raises:
        DlError: Kaggle refuses, cannot be reached, or keeps failing.
        Unclear: no answer came to a call that may not be carried out twice.
        TooManyRedirects: of `requests`, passed on.
    """
    from requests import RequestException, TooManyRedirects

    for delay in (*DELAYS, None):
        try:
            return ask()
        except TooManyRedirects:
            raise  # the caller handles redirects
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
            say(f"{refused.what}: {refused.why}. Trying again in {wait or delay:.0f} s.")
            time.sleep(wait or delay)
    raise AssertionError("the last attempt returns or raises")


def _refusal(slug: str, ref: int | None, error: Exception, code: int, wait: float) -> DlError:
    """The error for Kaggle's refusal."""
    said = " ".join(str(error).split()).rstrip(".")
    if code == 401:
        return DlError(
            "Kaggle does not accept the credentials",
            why=said,
            hint="Make a new token at https://www.kaggle.com/settings/api and save it as "
            "~/.kaggle/access_token. A token there, or in KAGGLE_API_TOKEN, takes precedence over "
            "kaggle.json.",
        )
    if code == 403 and (not slug or re.search("rule|accept|permission|forbidden", said, re.I)):
        return DlError(
            f"Kaggle does not let this account use {slug or 'the competition'} yet",
            why=f"you have probably not accepted its rules. Kaggle says: {said}",
            hint=f"Accept them at {rules_page(slug)} , then run the same command again.",
        )
    if code == 404 and ref is not None:
        return Missing(f"Kaggle does not know submission {ref} to {slug}", why=said)
    if code == 404:
        return Missing(
            f"Kaggle does not know a competition {slug!r}",
            why=said,
            hint="Take the name from its URL, https://www.kaggle.com/competitions/NAME . "
            + did_you_mean(slug, tuple(COMPETITIONS)),
        )
    if code == 429:
        minutes = f"{wait / 60:,.0f} minutes" if wait >= 120 else "some minutes"
        return DlError(
            "Kaggle asks to wait",
            why=f"it received too many calls in a short time. Kaggle says: {said}",
            hint=f"Run the same command again in {minutes}.",
        )
    if 400 <= code < 500:
        return DlError(
            f"Kaggle refuses the request for {slug}",
            why=said,
            hint=f"Read what it accepts at https://www.kaggle.com/c/{slug} , and check at "
            f"{rules_page(slug)} that you have accepted the rules.",
        )
    if code:
        return DlError(
            "Kaggle has a problem at the moment",
            why=f"it answers {code}: {said}",
            hint="Check https://www.kaggle.com/status , and run the same command again in some "
            "minutes.",
        )
    return DlError(
        "Kaggle cannot be reached",
        why=reason(error),
        hint="Check the connection, then run the same command again.",
    )


def no_credentials() -> DlError:
    """The error for missing or invalid credentials, checked in the order of Kaggle's client."""
    saved = Path("~/.kaggle/access_token")
    for where, is_there in ((TOKEN, bool(os.environ.get(TOKEN))), (shown(saved), _holds(saved))):
        if is_there:
            what = "Kaggle does not accept the access token"
            return DlError(what, why=f"the one in {where} is not valid", hint=STEPS)
    given = [name for name in (USER, KEY) if os.environ.get(name)]
    if len(given) == 1:
        (other,) = {USER, KEY} - set(given)
        why = f"{given[0]} is set, but {other} is not"
    elif file := _key_file():
        why = f"{shown(file)} lacks a `username` or a `key`"
    else:
        why = "neither its files nor the environment have any"
    return DlError("Kaggle's credentials are missing", why=why, hint=STEPS)


def _holds(file: Path) -> bool:
    try:
        return bool(expanded(file).read_text(errors="replace").strip())
    except OSError:
        return False


def _key_file() -> Path | None:
    """The first `kaggle.json` in the client's order, if it is not usable; else None."""
    folders = [os.environ.get("KAGGLE_CONFIG_DIR"), "~/.kaggle"]
    folders.append(str(Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config") / "kaggle"))
    for folder in filter(None, folders):
        file = expanded(folder) / "kaggle.json"
        if not file.is_file():
            continue
        try:
            held = parse_json(read_bytes(file))
        except (OSError, DlError, ValueError):
            return file
        return None if isinstance(held, dict) and {"username", "key"} <= set(held) else file
    return None
