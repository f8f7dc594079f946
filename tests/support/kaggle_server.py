"""Kaggle on this machine: a real HTTP server that speaks the API as the real `kaggle` package does.

POST of JSON with camelCase names and default values left out; uploads and downloads go to a storage
host of their own, by links, without credentials.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from support.kaggle_competition import Competition, Sent, zip_of
from support.local_server import Answer, LocalServer, Request
from support.storage_host import Storage

COMPETITIONS = "/api/v1/competitions.CompetitionApiService/"
INTROSPECT = "/api/v1/security.OAuthService/IntrospectToken"
USER, KEY = "tester", "0123456789abcdef0123456789abcdef"
TOKEN = "KGAT_0123456789abcdef0123456789abcdef"


class Refused(Exception):
    """An error that the service answers."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message


class KaggleServer(LocalServer):
    """The service.

    Attributes:
        competitions: slug -> competition; a test puts its own in.
        users: name -> legacy key.
        tokens: access token -> name.
        sent: the submissions that arrived, in order.
        slow_scoring: for how many polls a submission that is sent from now on stays PENDING.
        most_per_page: of any list.
        api_version: of the newest package, as the service says with each answer; "" says nothing.
        storage: where uploads and downloads go; its calls stand in `calls` too.
    """

    def __init__(self) -> None:
        self.competitions: dict[str, Competition] = {}
        self.users, self.tokens = {USER: KEY}, {TOKEN: USER}
        self.sent: list[Sent] = []
        self.slow_scoring, self.most_per_page, self.api_version = 0, 200, ""
        self._file_names: dict[str, str] = {}  # upload token -> name
        super().__init__()
        self.storage = Storage(beside=self)
        self._methods: dict[str, Callable[[dict[str, Any], str], dict[str, Any] | Answer]] = {
            "StartSubmissionUpload": self._start_upload,
            "CreateSubmission": self._create_submission,
            "GetSubmissionLimits": self._limits,
            "GetSubmission": lambda asked, user: self._shown(self._submission(asked, user)),
            "ListSubmissions": self._list_submissions,
            "GetLeaderboard": self._leaderboard,
            "ListDataFiles": self._list_files,
            "DownloadDataFiles": self._download_all,
            "DownloadDataFile": self._download_one,
        }

    def stop(self) -> None:
        self.storage.stop()
        super().stop()

    def add(self, competition: Competition) -> Competition:
        """Hold a competition."""
        self.competitions[competition.slug] = competition
        return competition

    def change_file(self, slug: str, name: str, content: bytes) -> None:
        """Another content, from the next download on."""
        competition = self.competitions[slug]
        competition.files[name] = content
        competition.modified += timedelta(hours=1)

    def break_download(self, after_bytes: int, times: int = 1, stalls: bool = False) -> None:
        """See Storage. A client that follows the redirect has begun one download by that."""
        self.storage.break_download(after_bytes, times, stalls)

    def name_of(self, request: Request) -> str:
        return request.path.rpartition("/")[2]

    def error(self, status: int, message: str, headers: Mapping[str, str]) -> Answer:
        return _json({"code": status, "message": message}, status, headers)

    def answer(self, name: str, request: Request) -> Answer:
        said = {"X-Kaggle-ApiVersion": self.api_version} if self.api_version else {}
        try:
            asked = json.loads(request.body)
            if request.path == INTROSPECT:
                user = self.tokens.get(asked.get("token", ""), "")
                return _json({"active": bool(user), "username": user}, headers=said)
            user = self._user_of(request.headers.get("Authorization", ""))
            if request.path != COMPETITIONS + name or name not in self._methods:
                raise Refused(404, "Not found")
            found = self._methods[name](asked, user)
        except Refused as refused:
            return self.error(refused.status, refused.message, {})
        return found if isinstance(found, Answer) else _json(found, headers=said)

    def _user_of(self, authorization: str) -> str:
        kind, _, secret = authorization.partition(" ")
        if kind == "Bearer" and secret in self.tokens:
            return self.tokens[secret]
        if kind == "Basic":
            name, _, key = b64decode(secret).decode().partition(":")
            if self.users.get(name) == key:
                return name
        raise Refused(401, "Unauthenticated")

    def _competition(self, asked: Mapping[str, Any], to: str = "") -> Competition:
        found = self.competitions.get(asked.get("competitionName", ""))
        if found is None:
            raise Refused(404, "Competition not found")
        if to and not found.rules_accepted:
            raise Refused(403, f"You must accept this competition's rules before {to}")
        return found

    def _start_upload(self, asked: dict[str, Any], user: str) -> dict[str, Any]:
        self._competition(asked, "you can continue")
        token, url = self.storage.upload_link(asked.get("contentLength", 0))
        self._file_names[token] = asked["fileName"]
        return {"token": token, "createUrl": url}

    def _create_submission(self, asked: dict[str, Any], user: str) -> dict[str, Any]:
        competition = self._competition(asked, "you can continue")
        if self._n_today(competition, user) >= competition.daily_limit:
            hours = 24 - self.now().hour - self.now().minute / 60
            raise Refused(
                400,
                "Submission not allowed: Your team has used its daily Submission allowance "
                f"({competition.daily_limit}) today, please try again tomorrow UTC "
                f"({hours:.1f} hours from now).",
            )
        token = asked.get("blobFileTokens", "")
        length, content = self.storage.uploads.get(token, (0, b""))
        if not content or len(content) != length:
            raise Refused(400, "The uploaded file was not found")
        sent = Sent(
            ref=50_000_001 + len(self.sent),
            slug=competition.slug,
            user=user,
            file_name=self._file_names[token],
            content=content,
            description=asked.get("submissionDescription", ""),
            date=self.now(),
            polls=self.slow_scoring,
        )
        competition.score(sent)
        self.sent.append(sent)
        return {"message": f"Successfully submitted to {competition.slug}", "ref": sent.ref}

    def _n_today(self, competition: Competition, user: str) -> int:
        """Days are those of UTC; what ended in an error counts for nothing."""
        return sum(
            each.date.date() == self.now().date() and not each.error
            for each in self._own(competition, user)
        )

    def _own(self, competition: Competition, user: str) -> list[Sent]:
        return [s for s in self.sent if (s.slug, s.user) == (competition.slug, user)]

    def _limits(self, asked: dict[str, Any], user: str) -> dict[str, Any]:
        competition = self._competition(asked)
        if not competition.rules_accepted:  # no team yet, so nothing is allowed
            return {}
        n_today = self._n_today(competition, user)
        return {
            "numToday": n_today,
            "numTotal": len(self._own(competition, user)),
            "numAllowedNow": max(competition.daily_limit - n_today, 0),
        }

    def _submission(self, asked: dict[str, Any], user: str) -> Sent:
        for each in self.sent:
            if each.ref == asked.get("ref") and each.user == user:
                return each
        raise Refused(404, "Submission not found")

    def _shown(self, sent: Sent) -> dict[str, Any]:
        status = sent.status()
        scored = status == "COMPLETE"
        return _without_defaults(
            {
                "ref": sent.ref,
                "totalBytes": len(sent.content),
                "date": _date(sent.date),
                "description": sent.description,
                "errorDescription": sent.error if status == "ERROR" else "",
                "fileName": sent.file_name,
                "publicScore": sent.public if scored else "",
                "privateScore": sent.private if scored else "",
                "status": status,
                "submittedBy": sent.user,
                "teamName": sent.user,
            }
        )

    def _list_submissions(self, asked: dict[str, Any], user: str) -> dict[str, Any]:
        own = self._own(self._competition(asked), user)
        part, following = self._page(own[::-1], asked)
        return {"submissions": [self._shown(each) for each in part], "nextPageToken": following}

    def _leaderboard(self, asked: dict[str, Any], user: str) -> dict[str, Any]:
        competition = self._competition(asked)
        rows = [
            {
                "teamId": 1000 + place,
                "teamName": team,
                "submissionDate": _date(competition.modified),
                "score": f"{score:.5f}",
            }
            for place, (team, score) in enumerate(competition.leaderboard)
        ]
        part, following = self._page(rows, asked)
        return {"submissions": part, "nextPageToken": following}

    def _list_files(self, asked: dict[str, Any], user: str) -> dict[str, Any]:
        competition = self._competition(asked)
        date = _date(competition.modified)
        rows = [
            _without_defaults({"name": name, "totalBytes": len(content), "creationDate": date})
            for name, content in competition.files.items()
        ]
        part, following = self._page(rows, asked)
        return {"files": part, "nextPageToken": following}

    def _page(self, rows: list[Any], asked: dict[str, Any]) -> tuple[list[Any], str]:
        size = min(asked.get("pageSize") or 20, self.most_per_page)
        start = int(asked.get("pageToken") or ((asked.get("page") or 1) - 1) * size)
        return rows[start : start + size], str(start + size) if start + size < len(rows) else ""

    def _download_all(self, asked: dict[str, Any], user: str) -> Answer:
        competition = self._competition(asked, "you'll be able to download files.")
        path = f"kaggle-v2/{competition.slug}/bundle/archive.zip"
        return self._redirect(path, competition.whole(), competition)

    def _download_one(self, asked: dict[str, Any], user: str) -> Answer:
        competition = self._competition(asked, "you'll be able to download files.")
        name = asked.get("fileName", "")
        if name not in competition.files:
            raise Refused(404, "File not found")
        content, path = competition.files[name], f"kaggle-v2/{competition.slug}/{name}"
        if name in competition.zipped:
            content, path = zip_of({PurePosixPath(name).name: content}), path + ".zip"
        return self._redirect(path, content, competition)

    def _redirect(self, path: str, content: bytes, competition: Competition) -> Answer:
        self.storage.put(path, content, competition.modified)
        return Answer(302, b"", {"Location": self.storage.link(path)})


def _json(
    value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    body = json.dumps(_without_defaults(value)).encode()
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(status, body, kind | dict(headers or {}))


def _without_defaults(value: Mapping[str, Any]) -> dict[str, Any]:
    """What the service sends of an object: no zeros, no empty strings or lists, no first enum."""
    return {name: each for name, each in value.items() if each and each != "PENDING"}


def _date(moment: datetime) -> str:
    """A protobuf timestamp: no fraction where there is none, else 3, 6 or 9 digits."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
