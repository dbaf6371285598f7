"""The spec's map in one run: orchestrator, agents, events, database, files, API, pipeline, git."""

from __future__ import annotations

import agentnb

from .api_server import says


def test_a_pipeline_takes_from_an_api_and_commits_to_git(tmp_path, web, until):
    web.on("/version", says(503), says(200, {"next": "1.1"}))
    web.on("/releases", says(201, {"id": 7}))

    def fetch(task, ctx):
        return ctx.step("version", ctx.api(web.url).get, "/version")["next"]

    def write(task, ctx):
        version = ctx.inputs["fetch"]
        ctx.files.write_file("app/VERSION", f"{version}\n")
        ctx.cache.set("version", version)
        return version

    def commit(task, ctx):
        repository = ctx.git.at(ctx.files.root / "app")
        repository.initialize()
        return repository.commit(f"Version {ctx.inputs['write']}", paths=["VERSION"])

    def publish(task, ctx):
        data = {"sha": ctx.inputs["commit"]}
        return ctx.api(web.url).post("/releases", data)["id"]

    with agentnb.connect(home=tmp_path / "home", workspace=tmp_path / "work") as hub:
        (tmp_path / "work").mkdir()
        heard = []
        hub.events.subscribe("workflow.completed", heard.append)
        hub.workflows.work()
        made = hub.workflows.pipeline("release", [fetch, write, commit, publish]).wait(30)
        assert made.result["publish"] == 7
        log = hub.git.at(tmp_path / "work" / "app").log()
        assert [(one.sha, one.subject) for one in log] == [(made.result["commit"], "Version 1.1")]
        assert hub.cache.get("version") == "1.1"
        rows = hub.db.query("select name, state from agentnb_task order by place").rows
        assert [tuple(row) for row in rows] == [
            (name, "completed") for name in ("fetch", "write", "commit", "publish")
        ]
        until(lambda: heard)
        assert heard[0].data["workflow_id"] == made.id
        assert hub.events.history("workflow.created", 1)[0].data["tasks"] == 4
