"""All outputs of the magics side by side: everybody can use them, in each theme.

``AGENTNB_SCREENSHOTS=DIR`` keeps a picture of each: ``look_3_dark.png`` and its like.
"""

from __future__ import annotations

SETUP = """\
%load_ext agentnb
import os, time
from IPython.display import display
from agentnb.core.workflow import Task
os.environ["AGENTNB_HOME"] = os.path.abspath("home")
os.environ["AGENTNB_WORKSPACE"] = os.path.abspath("workspace")
%agentnb reset

def show(text):
    for line in text.splitlines():
        noun, _, rest = line.partition(" ")
        print(line)
        found = get_ipython().run_line_magic(noun[1:], rest)
        if found is not None:
            display(found)
"""

EMPTY = """\
%agentnb
%agentnb metrics
%agentnb errors
%db
%db tables
%cache
%cache list
%events
%events list
%events history
%events dead
%queue
%queue workers
%queue schedule
%workflow
%workflow agents
%workflow workers
%workflow schedule
%workflow limit
%files
%files ls
%files du
%files glob *.py
%git init
%git
%git log
%git branch
%git diff
%git remote
%git tag
%git stash list
%api
%ws
%trace list
%db select 1 as a where 1 = 0"""

DATA = """\
_ = hub.db.execute("create table chore (id integer primary key, title text, state text)")
_ = hub.db.execute("insert into chore (title) values (:t)", [{"t": f"c{n}"} for n in range(3)])
hub.cache.set("rates", {"EUR": 1.08}, ttl=3600, tags=["fx"])
_ = hub.events.subscribe("agent.*", lambda event: 1 / 0, name="broken")
hub.events.publish("agent.failed", {"text": "long " * 40})
def send(job):
    job.log("sending")
    return {"sent": 1} if job.data["to"] == "ada" else 1 / 0
mail = hub.queue("mail")
good, bad = mail.add({"to": "ada"}), mail.add({"to": "bob"}, attempts=1)
_ = mail.add({"to": "eve"}, delay=3600)
_ = mail.work(send), mail.schedule("nightly", "0 2 * * *", {"to": "all"})
hub.workflows.agent("plan")(lambda task, ctx: {"files": 3})
tasks = [Task("a", agent="plan"), Task("b", agent="plan", needs=["a"], approval=True)]
flow = hub.workflows.create("app", tasks)
_ = hub.workflows.work()
_ = hub.files.write_file("notes.md", "text\\n"), hub.files.write_file("src/main.py", "print(1)\\n")
_ = hub.git.add_files(["look.ipynb"]), hub.git.commit("Begin")
_ = good.result(timeout=30)
until = time.monotonic() + 30
while bad.refresh().state != "failed" or flow.refresh().task("a").state != "completed":
    assert time.monotonic() < until
    time.sleep(0.02)
"""

FULL = """\
%agentnb
%agentnb metrics
%agentnb errors
%agentnb config
%agentnb doctor --timeout 30
%db
%db tables
%db describe chore
%db select * from chore
%db insert into chore (title) values ('new')
%cache
%cache list
%events
%events list
%events history
%events dead
%queue"""

MORE = """\
%queue show :bad.id
%queue jobs mail
%queue workers
%queue schedule
%workflow
%workflow show :flow.id
%workflow tasks :flow.id
%workflow events :flow.id
%workflow agents
%workflow workers
%files
%files ls
%files du
%files cat notes.md
%files glob **/*.py
%git
%git log
%git show
%git branch
%git diff
%trace
%trace list"""


def test_axe_finds_nothing_in_the_outputs_of_the_magics(lab, axe):
    # JupyterLab hides outputs of a cell beyond fifty.
    shows = [f'show("""{text}""")' for text in (EMPTY, FULL, MORE)]
    cells = [SETUP, shows[0], DATA, *shows[1:]]
    lab.open(lab.write("look/look.ipynb", *cells))  # which becomes a repository of its own
    assert lab.run_all(), lab.output(4).inner_text()
    size = lab.page.viewport_size
    lab.page.set_viewport_size(size | {"height": 7000})  # what is scrolled away has no contrast
    assert lab.violations(axe, lab.page.locator(".jp-OutputArea-output")) == []
    for cell in (1, 3, 4):
        lab.screenshot(f"look_{cell}", element=lab.output(cell), dark=True)
    lab.page.set_viewport_size(size)
