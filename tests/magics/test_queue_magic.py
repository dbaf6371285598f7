"""%queue and %%queue task on a real server: the embedded one of an empty project."""

from __future__ import annotations

import os
import re
import socket
import stat
import threading
import time
from types import SimpleNamespace

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import ConfigError, NotFoundError, RejectedError, UnkeptResult, UsageError
from agentnb.core.modules import load_module, module_path
from agentnb.core.queue.processing import marked
from tests.waiting import until


@pytest.fixture
def hub(shell):
    return shell.user_ns["hub"]


@pytest.fixture
def kept(project):
    """Return the module that a queue's cell was kept as."""
    return lambda queue: load_module(module_path(project / ".agentnb", "queue", queue))


@pytest.fixture
def in_cell(monkeypatch):
    """Return what says which of a notebook's cells is running."""
    return lambda name: monkeypatch.setattr(
        "agentnb.panels.base.registry.cell_id", lambda _shell: name
    )


# Jobs


def test_a_job_is_added_with_its_options(run, hub):
    job = run(
        'job = %queue add mail {"to": "ada", "n": [1, 2]} --priority 2 --delay 60 --attempts 5 '
        '--backoff {"type": "fixed", "delay": 1} --timeout 9 --key order-7 --lifo '
        "--result-ttl 60 "
        '--correlation "customer 17"\njob'
    )
    assert (job.queue.name, job.data, job.state) == ("mail", {"to": "ada", "n": [1, 2]}, "delayed")
    given = job.options
    assert (given.priority, given.attempts, given.timeout, given.key) == (2, 5, 9.0, "order-7")
    assert (given.backoff, given.growing, given.lifo) == (1.0, False, True)
    assert given.result_ttl == 60.0
    assert job.correlation_id == "customer 17"
    assert run('%queue add mail {"n": [1, 2], "to": "ada"} --key order-7') == job
    with pytest.raises(UsageError, match="key 'order-7' was used"):
        run("%queue add mail {} --key order-7")
    assert run("%queue add mail {} --backoff 3").options.backoff == 3.0
    assert len(hub.queue("mail").jobs()) == 2


def test_data_is_json_or_else_text_and_a_name_of_the_notebooks(run, shell, shown):
    for written, value in {"5": 5, "null": None, "hello": "hello", '"5"': "5", "[1]": [1]}.items():
        assert run(f"%queue add q {written}").data == value
    assert run("%queue add q").data is None
    shell.user_ns["report"] = {"rows": 3}
    assert run("%queue add q :report").data == {"rows": 3}
    assert "malformed JSON" in shown("%queue add q {oops}")
    with pytest.raises(UsageError, match="priority must be 0 to"):
        run("%queue add q 1 --priority -1")
    with pytest.raises(UsageError, match=r"SECONDS\|JSON, got 'soon'"):
        run("%queue add q 1 --backoff soon")


def test_a_bare_queue_says_where_jobs_wait_with_no_worker(run, shown):
    assert "%queue add QUEUE JSON" in shown("%queue")
    run("%queue add mail 1")
    (row,) = run("%queue")
    assert (row.queue, row.state, row.waiting) == ("mail", "no worker: jobs wait", 1)
    assert "no worker is running for queue mail" in shown("%queue")
    assert run("%queue list") == run("%queue")


def test_jobs_are_listed_by_their_state(run, shown):
    run("%queue add q 1")
    run("%queue add q 2 --delay 60")
    run("%queue add q 3")
    assert run("%queue jobs q").column("data") == ["1", "3", "2"]
    assert run("%queue jobs q --state delayed").column("data") == ["2"]
    assert run("%queue jobs q --state waiting -n 1").column("data") == ["1"]
    assert "no failed job in q" in shown("%queue jobs q --state failed")
    assert "did you mean q?" in shown("%queue jobs qq")
    assert "got 'waitin'" in shown("%queue jobs q --state waitin")


def test_a_job_is_shown_with_its_error_traceback_and_log(run, shown, hub):
    run(
        "%%queue task q\n"
        "job.progress(0.4)\n"
        "print('begun', job.data)\n"
        "print('no end of line', end='')\n"
        "1 / job.data"
    )
    job = run("%queue add q 0 --attempts 1")
    run("%queue work q -c 1 --drain")
    text = shown(f"%queue show {job.id}")
    assert "failed" in text
    assert "1 of 1" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "████░░░░░░ 40 %" in text
    assert "1 / job.data" in text.split("traceback")[1].split("log")[0]
    # Neither what runs processors nor what keeps their prints is in the way.
    assert hub.queue("q").get(job.id).failure.traceback.count("File") == 1
    assert text.rstrip().endswith("log\n  begun 0\n  no end of line")
    view = run(f"%queue show {job.id}")
    assert dict(view)["data"] == "0"
    html = view._repr_html_()
    assert "<pre" in html
    hub.queue("q").add("<b>")
    assert "<b>" not in run(f"%queue show {hub.queue('q').add('<b>').id}")._repr_html_()
    with pytest.raises(NotFoundError):
        run("%queue show nothing")


def test_a_job_that_waits_says_why(run, shown, shell):
    shell.user_ns["job"] = run("%queue add q 1")
    assert "no worker is running for queue q" in shown("%queue show :job")
    run("%queue pause q")
    assert "q is paused" in shown("%queue show :job")


def test_jobs_are_retried_cancelled_and_removed(run, shell, hub):
    queue = hub.queue("q")
    first, second = (run(f"%queue add q {n} --attempts 1") for n in range(2))
    assert run(f"%queue cancel {first.id} {second.id}") == "2 cancelled"
    assert first.state == second.state == "cancelled"
    assert run(f"%queue retry {first.id}") == "1 retried"
    assert (first.state, second.state) == ("waiting", "cancelled")
    assert run("%queue retry --from q --state cancelled") == "1 retried"
    assert second.state == "waiting"
    shell.user_ns["both"] = [first, second]
    assert run("%queue rm :both") == "2 removed"
    assert queue.jobs() == []
    with pytest.raises(NotFoundError):
        run(f"%queue rm {first.id}")


def test_many_jobs_want_a_yes_and_a_wrong_id_stops_before_anything_is_done(run, shown, hub):
    jobs = [hub.queue("q").add(n) for n in range(12)]
    assert "12 jobs; nothing was done" in shown("%queue rm --from q --state waiting")
    assert "there is no job nope" in shown(f"%queue rm {jobs[0].id} nope")
    assert len(hub.queue("q").jobs()) == 12
    assert run("%queue rm --from q --state waiting --yes") == "12 removed"
    assert "needs either jobs or --from" in shown("%queue rm")
    assert "needs a --state" in shown("%queue cancel --from q")
    assert "did you mean q?" in shown("%queue cancel --from qq --state waiting")
    assert "--state goes with --from" in shown("%queue cancel x --state waiting")


def test_a_cell_runs_in_processes_unless_it_needs_its_notebook(run, hub):
    run("%%queue task q\nimport os\nos.getpid(), job.data")
    queue = hub.queue("q")
    queue.work(executor="processes", concurrency=1)
    pid, data = run("%queue add q 7").result(timeout=60)
    assert (pid != os.getpid(), data) == (True, 7)
    run("%%queue task q\nimport os\nos.getpid(), job.data + 1")
    assert run("%queue add q 7").result(timeout=60) == [pid, 8]
    assert queue.stop()
    run("rates = {'eur': 2}")
    run("%%queue task q\nrates['eur'] * job.data")
    with pytest.raises(UsageError, match=r"uses names of its notebook, .*: rates"):
        queue.work(executor="processes", concurrency=1)


def test_a_paused_queue_hands_out_nothing(run, hub):
    with pytest.raises(NotFoundError):
        run("%queue pause q")
    run("%%queue task q\njob.data")
    job = run("%queue add q 7")
    assert "paused" in run("%queue pause q")
    with pytest.raises(RejectedError, match="none of its jobs would end"):
        run("%queue work q --drain")
    run("%queue work q")
    assert job.state == "paused"
    assert run("%queue")[0].state == "paused"
    run("%queue resume q")
    assert job.result(timeout=10) == 7
    assert hub.queue("q").stop()


def test_however_many_jobs_there_are_all_are_done(run, hub):
    queue = hub.queue("q")
    for n in range(1100):
        queue.add(n)
    assert run("%queue cancel --from q --state waiting --yes") == "1,100 cancelled"
    assert run("%queue retry --from q --state cancelled --yes") == "1,100 retried"
    assert run("%queue rm --from q --state waiting --yes") == "1,100 removed"
    assert queue.jobs() == []


def test_what_has_moved_on_meanwhile_is_counted_apart(run, hub, monkeypatch):
    queue = hub.queue("q")
    jobs = [queue.add(n) for n in range(3)]
    remove = queue.remove
    monkeypatch.setattr(
        queue, "remove", lambda id_: (id_ == jobs[0].id and remove(jobs[1].id), remove(id_))
    )
    assert run("%queue rm --from q --state waiting") == "2 removed; 1 had gone on meanwhile"


# Work


def test_a_function_prints_into_the_log_of_its_job_as_a_cell_does(run, hub, capsys):
    run("def tell(job):\n    print('on it', job.data)\n    return job.data")
    run("worker = hub.queue('q').work(tell)")
    job = hub.queue("q").add(3)
    assert job.result(timeout=10) == 3
    assert (job.logs(), capsys.readouterr().out) == (["on it 3"], "")
    assert hub.queue("q").current.name == "tell"


def test_a_cell_for_the_kernel_only_waits_for_the_kernel(run, hub):
    run("rate = 2")
    run("%%queue task q\nrate * job.data")
    run("%queue add q 1")
    why = hub.queue("q").why_waiting()
    assert "%queue work q" in why
    assert "agentnb worker" not in why
    run("%%queue task q\njob.data")
    assert "agentnb worker q" in hub.queue("q").why_waiting()


def test_a_cell_that_is_run_for_another_queue_leaves_the_one_before(run, hub, in_cell, project):
    in_cell("one")
    run("%%queue task mail\njob.data")
    kept_as = module_path(project / ".agentnb", "queue", "mail")
    assert kept_as.exists()
    said = run("%%queue task post\njob.data")
    assert "mail: no longer processed by this cell" in said
    assert (hub.queue("mail").current, kept_as.exists()) == (None, False)
    run("%queue work post")
    said = run("%%queue task letters\njob.data")
    assert "post: still processed by this cell as it was: %queue stop post" in said
    assert hub.queue("post").current is not None
    in_cell("two")
    run("%%queue task letters\n'the other cell'")
    in_cell("one")
    assert "letters" not in run("%%queue task mail\njob.data")
    assert hub.queue("letters").current.function(None) == "the other cell"


def test_work_returns_a_worker_and_stop_ends_it(run, shown):
    assert "q has no processor in this process" in shown("%queue work q")
    run("%%queue task q\njob.data")
    worker = run("%queue work q --concurrency 2")
    assert (worker.running, worker.concurrency) == (True, 2)
    (row,) = run("%queue workers q")
    assert (row.processor, row.concurrency) == ("process (this kernel)", 2)
    assert (row.host, row.pid) == (socket.gethostname(), os.getpid())
    assert (row.running, row.executor) == (0, "threads")
    assert abs(row.started.timestamp() - time.time()) < 60
    assert re.fullmatch(r"[\d.]+ m?s ago", row.seen)
    (of_all,) = run("%queue workers")
    assert of_all._asdict() | {"seen": ""} == row._asdict() | {"seen": ""}
    assert run("%queue stop q") == "q: stopped"
    assert not worker.running
    assert "no worker of q is running in this kernel" in shown("%queue stop q")
    assert "no worker is running for queue q: " in shown("%queue workers q")


def test_drain_waits_and_shows_how_far_it_is(run, shown, hub):
    run("%%queue task q\nimport time\ntime.sleep(0.1)")
    for n in range(12):
        hub.queue("q").add(n)
    text = shown("%queue work q -c 1 --drain")
    assert "of 12" in text
    assert hub.queue("q").counts()["completed"] == 12


# Cells


def test_a_cells_value_is_what_it_returns_else_that_of_its_last_expression(run, shell):
    run('''%%queue task q
text = """two
lines"""
if job.data is None:
    return "nothing"
[job.data, text]''')
    run("%queue work q")
    assert run("%queue add q 2").result(timeout=10) == [2, "two\nlines"]
    assert run("%queue add q").result(timeout=10) == "nothing"
    assert "text" not in shell.user_ns
    run("%%queue task q\nlast = job.data")
    assert run("%queue add q 2").result(timeout=10) is None


def test_a_cell_may_await_and_use_the_notebooks_names(run, shell):
    run("import asyncio\nrate, seen = 3, 0")
    run("%%queue task q\nglobal seen\nprint('here')\nseen += 1\nawait asyncio.sleep(0, rate)")
    run("%queue work q")
    job = run("%queue add q")
    assert job.result(timeout=10) == 3
    assert (shell.user_ns["seen"], job.logs()) == (1, ["here"])


def test_running_a_cell_again_replaces_the_processor_and_starts_no_work(run, hub):
    assert "once there is a worker: %queue work q" in run("%%queue task q\n'old'")
    job = run("%queue add q")
    assert hub.queue("q").workers() == []
    assert job.state == "waiting"
    run("%queue work q")
    assert job.result(timeout=10) == "old"
    assert "from the next job on" in run("%%queue task q\n'new'")
    assert run("%queue add q").result(timeout=10) == "new"


def test_a_cell_that_cannot_be_a_processor_leaves_the_one_before(run, shown, hub, kept):
    run("%%queue task q\n'before'")
    assert "SyntaxError" in shown("%%queue task q\nif")
    assert "SyntaxError" in shown("%%queue task q\nnonlocal x")
    assert "cannot yield" in shown("%%queue task q\nyield 1")
    assert "has no body" in shown("%%queue task q\n# nothing")
    assert "the body of the cell" in shown("%queue task q")
    assert "needs a verb" in shown("%%queue\npass")
    assert "there is no class 'Mial'" in shown("%%queue task q --schema Mial\npass")
    assert hub.queue("q").current.function(None) == "before"
    assert marked(kept("q"))["q"].function(None) == "before"


def test_data_is_checked_by_a_schema_and_an_attempt_has_its_time(run, shown):
    run("import dataclasses\n@dataclasses.dataclass\nclass Mail:\n    to: str")
    run("%%queue task q --schema Mail --timeout 0.1\nimport time\ntime.sleep(5)\njob.data.to")
    run("%queue work q")
    job = run('%queue add q {"to": "ada"} --attempts 1')
    with pytest.raises(RejectedError, match="took longer than"):
        job.result(timeout=10)
    assert "is not Mail" in shown('%queue add q {"to": 5}')


def test_a_model_of_the_notebook_is_added_and_published(run, hub):
    run("import pydantic\nclass Mail(pydantic.BaseModel):\n    to: str\nmail = Mail(to='ada')")
    assert run("%queue add q :mail").data == {"to": "ada"}
    assert run("%events publish c :mail").data == hub.events.history("c")[-1].data == {"to": "ada"}


def test_a_cell_s_result_is_read_as_its_type_and_one_not_kept_shows_as_such(run, hub):
    run("import pydantic\nclass Mail(pydantic.BaseModel):\n    to: str")
    run("%%queue task q --returns Mail\nMail(to=job.data)")
    run("%queue work q")
    job = run("%queue add q ada")
    assert job.result(timeout=10) == hub.queue("q").get(job.id).result(timeout=1)
    assert type(job.result()).__name__ == "Mail"
    run("%%queue task q\nimport threading\nthreading.Lock()")
    with pytest.raises(UnkeptResult, match="was not kept"):
        run("%queue add q ada").result(timeout=10)
    assert "done, not kept" in repr(run("%queue jobs q"))
    shown = repr(run(f"%queue show {hub.queue('q').jobs('completed')[0].id}"))
    assert "done, not kept: value is of type lock" in shown


def test_what_a_processor_prints_is_kept_with_its_own_job(run, hub, capsys):
    run("barrier = __import__('threading').Barrier(2)")
    run("%%queue task q\nprint('a', job.data)\nbarrier.wait(10)\nprint('b', job.data)")
    run("%queue work q -c 2")
    jobs = [hub.queue("q").add(n) for n in range(2)]
    for job in jobs:
        job.result(timeout=10)
    assert [job.logs() for job in jobs] == [["a 0", "b 0"], ["a 1", "b 1"]]
    assert capsys.readouterr().out == ""


def test_printing_never_fails_though_the_job_is_gone(run, hub, shell, until):
    begun, go, printed = threading.Event(), threading.Event(), []
    shell.user_ns.update(begun=begun, go=go, printed=printed)
    run("%%queue task q\nbegun.set()\ngo.wait(10)\nprint('late')\nprinted.append(1)")
    run("%queue work q -c 1")
    job = hub.queue("q").add(1)
    assert begun.wait(10)
    job.remove(force=True)
    go.set()
    until(lambda: printed)


# Modules


def test_a_cell_is_kept_as_a_module_for_worker_processes(run, kept, project):
    run("import math, importlib.metadata\nimport json as js")
    said = run(
        "%%queue task mail/out --timeout 9\n"
        "# a comment\n"
        "from collections import Counter\n"
        "def inner(x):\n"
        "    return math.sqrt(x)\n"
        "importlib.metadata.version('ipython')\n"
        "js.dumps({'root': [inner(n) for n in job], 'n': len(Counter(job))})"
    )
    assert "agentnb worker mail/out" in said
    path = module_path(project / ".agentnb", "queue", "mail/out")
    assert path.name == "queue_mail%2Fout.py"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    text = path.read_text()
    assert "import importlib.metadata\nimport json as js\nimport math\n" in text
    found = marked(kept("mail/out"))["mail/out"]
    assert found.timeout == 9.0
    assert found.function([4, 9]) == '{"root": [2.0, 3.0], "n": 2}'


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("rate * later(job.data)", ("later", "rate")),
        ("global rate\nrate = 1", ("rate",)),
        ("[hub for _ in job.data]", ("hub",)),
        ("class A:\n    x = rate", ("rate",)),
        ("!echo 1", ("get_ipython",)),
        ("%queue list", ("get_ipython",)),
        ("display(1)", ("display",)),
        ("len(job.data) + sum([1])", ("sum",)),
        ("Local()", ("Local",)),
        ("sqrt(2)", ("sqrt",)),
    ],
)
def test_a_cell_that_uses_its_notebook_is_for_the_kernel_only(run, kept, body, names):
    run("rate = 2\nfrom math import sqrt\nsqrt = lambda x: x\nclass Local: pass")
    run("def sum(found): return max(found)")
    run("%%queue task q\n'as it was'")
    said = run(f"%%queue task q\n{body}")
    assert "in this kernel only" in said
    for name in names:
        assert ("IPython's own syntax" if name == "get_ipython" else name) in said
    module = kept("q")
    assert names == module.KERNEL_ONLY
    assert marked(module) == {}


def test_what_the_notebook_imported_from_a_module_is_imported_by_the_cells_module(run, kept, shell):
    run("from json import dumps\nfrom collections import Counter as Count, OrderedDict")
    # Numbers and texts do not know where they are from; the cell that imported them does.
    shell.run_cell("from math import pi\nfrom string import *", store_history=True)
    run("from random import choice\nbiggest = max")
    said = run(
        "%%queue task q\n"
        "list_of = OrderedDict(Count(job.data))\n"
        "[dumps(list_of), pi, choice([7]), digits, biggest(1, 2)]"
    )
    assert "agentnb worker q" in said
    module = kept("q")
    assert marked(module)["q"].function(SimpleNamespace(data="aa")) == [
        '{"a": 2}',
        3.141592653589793,
        7,
        "0123456789",
        2,
    ]


def test_the_shells_own_open_is_every_pythons(run, kept, shell):
    from IPython.core import interactiveshell

    shell.user_ns["open"] = interactiveshell._modified_open
    run("%%queue task q\nopen(job.data).read()")
    assert "q" in marked(kept("q"))


def test_a_class_of_the_notebooks_keeps_it_in_the_kernel(run, kept):
    run("import dataclasses\n@dataclasses.dataclass\nclass Mail:\n    to: str")
    assert "Mail" in run("%%queue task q --schema Mail\njob.data.to")
    assert kept("q").KERNEL_ONLY == ("Mail",)


def test_an_awaiting_cell_is_kept_with_what_it_imports_from_the_future(run, kept):
    run("from __future__ import annotations")
    run("%%queue task q\nimport asyncio\ndef f(x: Unknown): return x\nawait asyncio.sleep(0, f(5))")
    import asyncio

    assert asyncio.run(marked(kept("q"))["q"].function(None)) == 5


def test_a_folder_of_modules_that_others_could_write_to_is_made_private(run, project, kept):
    folder = project / ".agentnb" / "modules"
    folder.mkdir()
    folder.chmod(0o777)
    run("%%queue task q\n1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert marked(kept("q"))["q"].function(None) == 1


def test_a_module_that_cannot_be_kept_is_an_error(run, project):
    (project / ".agentnb" / "modules").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be kept"):
        run("%%queue task q\n1")


# What a person is offered


def test_tab_offers_verbs_queues_jobs_and_states(run, shell, hub):
    job = hub.queue("mail").add(1)
    failed = hub.queue("mail").add(2)
    failed.cancel()

    def offered(text):
        with provisionalcompleter():
            return [one.text for one in shell.Completer.completions(text, len(text))]

    assert "retry" in offered("%queue re")
    assert {"job.data", "job.progress", "job.log", "job.attempt"} <= set(
        offered("%%queue task m\nx = 1\njob.")
    )
    assert "mail" in offered("%queue jobs ma")
    assert "mail" in offered("%%queue task m")
    assert "delayed" in offered("%queue jobs mail --state de")
    assert job.id in offered("%queue show ")
    assert offered(f"%queue retry {failed.id[:3]}") == [failed.id]
    assert job.id in offered("%queue cancel ")
    assert failed.id not in offered("%queue cancel ")
    run("%%queue task mail\npass")
    assert "mail" not in offered("%queue stop ")
    run("%queue work mail")
    assert "mail" in offered("%queue stop ")


def test_tab_does_not_wait_for_a_server_that_hangs(run, shell, hub, monkeypatch):
    hub.queue("mail").add(1)
    run("%%queue task mail\npass")
    limits = []
    within = type(hub.redis).within
    monkeypatch.setattr(
        type(hub.redis),
        "within",
        lambda redis, seconds: (limits.append(seconds), within(redis, seconds))[1],
    )
    began = time.monotonic()
    hub.redis.execute_command("CLIENT", "PAUSE", 3000, "ALL")
    with provisionalcompleter():
        text = "%queue show "
        list(shell.Completer.completions(text, len(text)))
    assert limits == [1.0]
    assert time.monotonic() - began < 3
    hub.redis.execute_command("CLIENT", "UNPAUSE")


def test_help_names_every_verb(shown):
    text = shown("%queue help")
    verbs = "add task work stop list jobs show retry cancel rm pause resume workers panel"
    for verb in verbs.split():
        assert f"  {verb}" in text
    assert "the value of its last expression" in shown("%queue help task")
    assert "hub.queue(QUEUE).add(DATA" in text
    assert "in Python: hub.queue(QUEUE).pause()" in shown("%queue help pause")


def test_work_finds_the_cell_that_an_earlier_kernel_has_kept(run, hub, shown):
    run("%%queue task q --timeout 9\n[job.data, 'kept']")
    queue = hub.queue("q")
    queue.forget_processor()  # as after a restart of the kernel
    run("%queue work q")
    assert run("%queue add q 7").result(timeout=10) == [7, "kept"]
    assert (queue.current.name, queue.current.timeout) == ("process (%%queue task q)", 9.0)
    assert queue.stop()
    run("rate = 2")
    run("%%queue task q\nrate * job.data")
    queue.forget_processor()
    text = shown("%queue work q")
    assert "the processor of q uses names of its notebook: rate" in text
    assert "run its cell again (%%queue task q)" in text


# Limits


def test_a_queue_is_limited_and_jobs_say_what_they_wait_for(run, shown, hub):
    assert "no queue has a limit: hub.queue('QUEUE').limit(10, per=60)" in shown("%queue limit")
    text = shown("%queue limit ask 1 --per 3600 --by data.user")
    assert "1 per 3,600 s for each data.user" in text
    text = shown("%queue limit ask --concurrency 4")
    assert "concurrency 4" in text
    assert "1 per 3,600 s for each data.user" in text
    assert [str(one) for one in hub.queue("ask").limits()] == [
        "concurrency 4",
        "1 per 3,600 s for each data.user",
    ]
    assert "ask" in shown("%queue limit")
    assert "ask is limited: concurrency 4, 1 per 3,600 s for each data.user" in shown("%queue")

    run('%queue add ask {"user": 7}')
    waits = run('%queue add ask {"user": 7}')
    hub.queue("ask").work(lambda job: job.data)
    reason = "rate of 1 per 3,600 s for data.user=7: from "
    until(lambda: waits.reason and waits.reason.startswith(reason))
    assert reason in shown("%queue jobs ask")
    assert reason in shown(f"%queue show {waits.id}")

    assert "concurrency 4" in shown("%queue unlimit ask --by data.user")
    assert waits.result(30) == {"user": 7}
    assert "queue ask has no limit" in shown("%queue unlimit ask")


def test_a_limit_that_is_none_is_refused(run):
    with pytest.raises(UsageError, match="rate must be 1 to 1,000,000, got 0"):
        run("%queue limit ask 0 --per 60")
    with pytest.raises(UsageError, match="rate must be 1 to 1,000,000, got 'many'"):
        run("%queue limit ask many --per 60")
    with pytest.raises(UsageError, match="a rate of 10 needs per"):
        run("%queue limit ask 10")
    with pytest.raises(UsageError, match="by must be a field of the job's data"):
        run("%queue limit ask --concurrency 1 --by user")
    with pytest.raises(NotFoundError, match="no queue ask"):
        run("%queue unlimit ask")
