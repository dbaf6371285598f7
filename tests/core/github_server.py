"""A stand-in for GitHub's API: pull requests and comments of any repository, with a token."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

from .api_server import Server

TOKEN = "ghp_" + "t" * 36
_PULLS = re.compile(r"/repos/(?P<repository>[^/]+/[^/]+)/pulls(?:/(?P<number>\d+))?")
_COMMENTS = re.compile(r"/repos/(?P<repository>[^/]+/[^/]+)/issues/(?P<number>\d+)/comments")


class GitHubServer(Server):
    """Answers as GitHub does, by what it has been asked to make."""

    def __init__(self):
        super().__init__()
        self.pulls, self.comments = [], []
        self.paths = self

    def get(self, path):
        """Return what answers a path, as the paths of its base do."""
        return [lambda handler: self.answer(handler, path)]

    def answer(self, handler, path):
        if handler.command != "GET" and handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            handler.say(401, {"message": "Bad credentials"})
        elif found := _COMMENTS.fullmatch(path):
            self.comments.append({"id": len(self.comments) + 1, **json.loads(handler.body)})
            handler.say(201, self.comments[-1] | {"number": int(found["number"])})
        elif (found := _PULLS.fullmatch(path)) is None:
            handler.say(404, {"message": "Not Found"})
        elif found["number"]:
            pull = [one for one in self.pulls if one["number"] == int(found["number"])]
            handler.say(200, pull[0]) if pull else handler.say(404, {"message": "Not Found"})
        elif handler.command == "POST":
            self.make(handler, found["repository"])
        else:
            self.page(handler)

    def make(self, handler, repository):
        data = json.loads(handler.body)
        if any(one["head"] == data["head"] and one["state"] == "open" for one in self.pulls):
            why = f"A pull request already exists for {data['head']}."
            handler.say(422, {"message": "Validation Failed", "errors": [{"message": why}]})
            return
        number = len(self.pulls) + 1
        url = f"{self.url}/{repository}/pull/{number}"
        self.pulls.append({"number": number, "state": "open", "html_url": url, **data})
        handler.say(201, self.pulls[-1])

    def page(self, handler):
        query = parse_qs(urlsplit(handler.path).query)
        size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
        state = query.get("state", ["open"])[0]
        found = [one for one in reversed(self.pulls) if state in {"all", one["state"]}]
        rest = {}
        if page * size < len(found):
            path = handler.path.partition("?")[0]
            last = -(-len(found) // size)
            links = [
                f'<{self.url}{path}?state={state}&per_page={size}&page={number}>; rel="{name}"'
                for name, number in (("next", page + 1), ("last", last))
            ]
            rest = {"Link": ", ".join(links)}
        handler.say(200, found[(page - 1) * size : page * size], **rest)
