"""%queue and %%queue task as a person meets them in JupyterLab."""

from __future__ import annotations

CELLS = (
    "%load_ext agentnb",
    """%%queue task reports
import time
for part in range(1, 4):
    print("part", part, "<b>not bold</b>")
    job.progress(part / 5)
    time.sleep(0.2)
1 / job.data["pages"]""",
    """jobs = [hub.queue("reports").add({"pages": n}, attempts=1) for n in (2, 0)]
_ = hub.queue("unread").add({"to": "ada"})
%queue work reports --concurrency 1 --drain""",
    "%queue",
    "%queue jobs reports",
    "failed = jobs[1]\n%queue show :failed",
)


def test_jobs_are_worked_on_and_looked_at(lab):
    lab.open(lab.write("queue.ipynb", *CELLS))
    lab.run_all()
    job = lab.page.locator(".agentnb-job")
    job.get_by_text("ZeroDivisionError: division by zero").wait_for()
    job.get_by_text("part 3 <b>not bold</b>").wait_for()
    job.get_by_text("██████░░░░ 60 %").wait_for()
    lab.page.get_by_text("no worker is running for queue unread", exact=False).wait_for()
    # What the processor printed is in the view of its job, and in no cell.
    assert lab.page.locator(".jp-OutputArea").get_by_text("part 3", exact=False).count() == 1
    lab.screenshot("queue_magic", dark=True)
