"""Agents make a new app, the story of ``10_agents.ipynb`` as a script.

    python agents.py [KEY]

Prints what came of it as JSON. With the KEY of an earlier run it is that run's workflow again, and
nothing is done twice. The settings say where: `DATABASE_URL`, `REDIS_URL`, `AGENTNB_WORKSPACE`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agentnb.core import errors
from agentnb.core.files import hash_of
from agentnb.core.hub import connect
from agentnb.core.workflow import Task, agent

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.hub import Hub
    from agentnb.core.queue import Job
    from agentnb.core.workflow import Context, TaskInfo, Workflow

HERE = Path(__file__).parent


@agent("plan")
def plan(task: TaskInfo, ctx: Context) -> Any:
    """Ask GitHub what is wanted, and keep the reply in the database."""
    app, repository = ctx.workflow.data["app"], ctx.workflow.data["repository"]
    reply = ctx.step("ask", ctx.github.client.get, f"/repos/{repository}")
    row = {"app": app, "wanted": reply["description"], "branch": reply["default_branch"]}
    with ctx.db.transaction() as transaction:
        columns = "app text primary key, wanted text, branch text"
        transaction.execute(f"create table if not exists asked ({columns})")
        transaction.execute("delete from asked where app = :app", row)
        transaction.execute("insert into asked values (:app, :wanted, :branch)", row)
    if ctx.files.exists(app):  # of an earlier run
        shutil.rmtree(ctx.files.root / app)  # a repository, which ctx.files leaves alone
    return {"wanted": row["wanted"]}


@agent("scaffold")
def scaffold(task: TaskInfo, ctx: Context) -> Any:
    """Write a file of the app, from a template that all of its files have in common."""

    def load():
        gist = ctx.github.client.get("/gists/greeter")
        return {name: file["content"] for name, file in gist["files"].items()}

    template = ctx.cache.get_or_set("template:greeter", load, ttl=600)
    for part in range(1, 9):
        ctx.step(f"part {part}", time.sleep, 0.25)  # as a model would think
        ctx.progress(part / 8, f"part {part} of 8")
    name = task.data["file"]
    text = template[name].replace("WANTED", ctx.inputs["plan"]["wanted"])
    ctx.files.write_file(f"{ctx.workflow.data['app']}/{name}", text)
    return {"file": name}


@agent("test")
def test(task: TaskInfo, ctx: Context) -> Any:
    """Run the app's own tests, in a process of their own."""
    folder = ctx.files.root / ctx.workflow.data["app"]
    command = [sys.executable, "-B", "-m", "unittest", "-v"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    files = [ctx.inputs[name]["file"] for name in task.needs]
    return {"files": files, "passed": done.stderr.count("... ok")}


@agent("commit")
def commit(task: TaskInfo, ctx: Context) -> Any:
    """Commit what was tested, and nothing else."""
    app = ctx.workflow.data["app"]
    repository = ctx.git.at(ctx.files.root / app)
    repository.initialize(f"agent/{app}")
    if repository.status():  # else a worker has committed, and died right after that
        repository.commit(f"Make {app}", paths=ctx.inputs["test"]["files"])
    return {"branch": repository.current_branch(), "sha": repository.status().sha}


@agent("image")
def image(task: TaskInfo, ctx: Context) -> Any:
    """Build an image of the app and run it, where there is what it takes."""
    app, busybox = ctx.workflow.data["app"], shutil.which("busybox")
    if busybox is None:
        return {"skipped": "there is no busybox to make an image of"}
    try:
        ctx.docker.ping()
    except errors.AgentnbError as error:
        return {"skipped": str(error)}
    context = ctx.files.root / f"{app}-image"
    context.mkdir(exist_ok=True)
    shutil.copy(busybox, context / "busybox")
    shutil.copy(ctx.files.root / app / "greet.sh", context)
    ctx.docker.build_image(context, app, text="FROM scratch\nCOPY busybox greet.sh /\n")
    shutil.rmtree(context)
    done = ctx.docker.run(app, ["/busybox", "sh", "/greet.sh", "Ada"]).check()
    return {"image": app, "says": done.stdout.strip()}


@agent("pull-request")
def pull_request(task: TaskInfo, ctx: Context) -> Any:
    """Open a pull request on GitHub, into the branch that the database knows."""
    app, repository = ctx.workflow.data["app"], ctx.workflow.data["repository"]
    sizes = Literal["patch", "minor", "major"]
    size = ctx.ask("size", f"Which release of {app} is it?", form=sizes, to="ada")
    [asked] = ctx.db.query("select wanted, branch from asked where app = :app", {"app": app})
    branch, sha = ctx.inputs["commit"]["branch"], ctx.inputs["commit"]["sha"]
    found = ctx.github.list_pull_requests(repository, head=f"ada:{branch}")
    if not found:  # else a worker has opened it, and died right after that
        body = f"{asked.wanted}. A {size} release, tested as of {sha[:10]}."
        made = ctx.github.create_pull_request(repository, f"Make {app}", branch, asked.branch, body)
        found = [made]
    news = {"to": "ada", "title": found[0]["title"]}
    ctx.step("tell", lambda: ctx.queue("tutorial.news").add(news).id)
    return {name: found[0][name] for name in ("number", "title", "body")}


def deliver(job: Job) -> str:
    """Tell a person of a pull request."""
    return f"{job.data['to']} is told: {job.data['title']}"


ABOUT = {"app": "greeter", "repository": "ada/greeter"}
TASKS = [
    Task("plan"),
    Task("code", agent="scaffold", data={"file": "greet.sh"}, needs=["plan"]),
    Task("tests", agent="scaffold", data={"file": "test_greet.py"}, needs=["plan"]),
    Task("docs", agent="scaffold", data={"file": "README.md"}, needs=["plan"]),
    Task("test", needs=["code", "tests", "docs"]),
    Task("commit", needs=["test"], approval=True),
    Task("image", needs=["commit"]),
    Task("pull-request", needs=["commit", "image"]),
]
# Who commits and when, so that the commit has the same name in every run.
GIT = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in {
        "NAME": "Ada",
        "EMAIL": "ada@example.com",
        "DATE": "2026-01-05T09:00:00+00:00",
    }.items()
}


def start_github() -> subprocess.Popen[str]:
    """Start the stand-in for GitHub, and lead this process and its workers to it."""
    command = [sys.executable, str(HERE / "github.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    # A session of its own, so that interrupting a notebook does not end it.
    process = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
    url = process.stdout.readline().strip()
    os.environ |= {"GITHUB_API_URL": url, "GITHUB_TOKEN": "any-will-do"} | GIT
    return process


def start_worker() -> subprocess.Popen[bytes]:
    """Start a process that does the tasks of all agents of this module."""
    command = [sys.executable, "-m", "agentnb.cli", "worker", "--agents", "--app", "agents"]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(HERE)}, stdout=sys.stderr)


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("it takes too long")
        time.sleep(0.02)


def scaffolding(workflow: Workflow) -> bool:
    """Return whether all three files are being written."""
    found = [task for task in workflow.tasks if task.agent == "scaffold"]
    return all(task.state == "active" and task.progress for task in found)


def heard(hub: Hub, workflow: Workflow) -> Counter[str]:
    """Count the events of a workflow that the event bus has had, by their channels."""
    mine = {
        event.id: event.channel  # an event may come twice, under one id
        for event in hub.events.history("*", n=1000)
        if isinstance(event.data, dict) and event.data.get("workflow_id") == workflow.id
    }
    return Counter(mine.values())


def again(hub: Hub, workflow: Workflow) -> set[str]:
    """Return the names of the tasks that were started again."""
    found = hub.events.history("workflow.task.retried", n=1000)
    return {one.data["task"] for one in found if one.data["workflow_id"] == workflow.id}


def summary(hub: Hub, workflow: Workflow) -> dict[str, Any]:
    """Return what came of it: the same for every run, from a notebook or a script."""
    result, tasks = workflow.result, workflow.tasks
    files = {name: hub.files.read_file(f"greeter/{name}") for name in result["test"]["files"]}
    wait_for(lambda: heard(hub, workflow)["workflow.completed"] > 0)
    return {
        "workflow": f"{workflow.name}, {workflow.refresh().state}",
        "tasks": Counter(task.state for task in tasks),
        "started again": [task.name for task in tasks if task.name in again(hub, workflow)],
        "approved by": workflow.task("commit").approved_by,
        "files": {name: hash_of(text)[:12] for name, text in files.items()},
        "tests passed": result["test"]["passed"],
        "commit": result["commit"],
        "pull request": result["pull-request"],
        "kept": [list(row) for row in hub.db.query("select * from asked")],
        "events": dict(sorted(heard(hub, workflow).items())),
    }


def tell(found: dict[str, Any]) -> None:
    """Print a summary, a line each."""
    for name, value in found.items():
        print(f"{name}:", value if isinstance(value, str) else json.dumps(value))


def make(hub: Hub, key: str) -> Workflow:
    """Let the agents make the app, and kill one of their workers on the way."""
    for one in (plan, scaffold, test, commit, image, pull_request):
        hub.workflows.agent(one.__name__.replace("_", "-"))(one)
    workflow = hub.workflows.create("new-app", TASKS, key=key, data=ABOUT)
    if workflow.state == "completed":
        return workflow
    workers = [start_worker()]
    try:
        wait_for(lambda: scaffolding(workflow))
        workers[0].kill()  # SIGKILL: it can tidy up nothing, and tells nobody
        workers.append(start_worker())
        wait_for(lambda: workflow.task("commit").state == "approval")
        workflow.approve("commit", by="ada")
        wait_for(lambda: workflow.task("pull-request").state == "parked")
        workflow.answer("pull-request", "size", "minor", by="ada")
        workflow.wait(60)
        news = hub.queue("tutorial.news")
        news.work(deliver)
        news.jobs()[0].result(30)
        return workflow
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()


def main() -> None:
    """Make the app, and ask for it again."""
    key = sys.argv[1] if len(sys.argv) > 1 else f"new app {time.time_ns()}"
    github = start_github()
    try:
        with connect() as hub:
            workflow = make(hub, key)
            again = hub.workflows.create("new-app", TASKS, key=key, data=ABOUT)
            found = summary(hub, workflow) | {"image": workflow.result["image"]}
    finally:
        github.communicate()  # its input ends, and with it the process
    tell(found)
    print("the same key:", "the same workflow" if again == workflow else "ANOTHER WORKFLOW")


if __name__ == "__main__":
    main()
