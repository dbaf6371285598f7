"""One page of JupyterLab, and what a person does in it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from pathlib import Path
from urllib.parse import urlsplit

KERNEL_IS_IDLE = """() => {
  const widget = window.jupyterapp?.shell.currentWidget;
  const context = widget?.sessionContext;
  const name = document.querySelector('.jp-Toolbar-kernelName')?.textContent;
  return !!context?.isReady && context.session?.kernel?.status === 'idle'
    && !!name && !name.includes('No Kernel');
}"""
CLOSE_ALL = """() => {
  for (const widget of [...jupyterapp.shell.widgets('main')]) {
    if (!widget.context) continue;  // the launcher
    widget.context.model.dirty = false;  // else it asks whether to save
    widget.close();
  }
}"""
# A kernel that the next test takes over has nothing of this one.
REMEMBER = """
import os
get_ipython().meta.folder, get_ipython().meta.variables = os.getcwd(), dict(os.environ)
del os
"""
RESET = """
%unload_ext agentnb
import os, ipywidgets
ipywidgets.Widget.close_all()
os.chdir(get_ipython().meta.folder)
os.environ.clear()
os.environ |= get_ipython().meta.variables
get_ipython().reset()
print("emptied")
"""
RESTORE_CELLS = """sources => {
  const {content, model} = jupyterapp.shell.currentWidget;
  const shared = model.sharedModel;
  shared.deleteCellRange(sources.length, shared.cells.length);
  sources.forEach((source, at) => shared.cells[at].setSource(source));
  content.mode = 'command';
  content.activeCellIndex = 0;
  content.deselectAll();
}"""
IS_EMPTY = "() => !document.querySelector('.jp-NotebookPanel, .jp-Dialog')"
LIGHT = "JupyterLab Light"
SECONDS = 1000  # Playwright counts in milliseconds
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]  # the rules that look at colours
END_TRANSITIONS = """() => document.getAnimations()
  .filter(one => one instanceof CSSTransition).forEach(one => one.finish())"""
VIOLATIONS = """([include, runOnly]) => axe.run(
  {include}, {resultTypes: ['violations'], runOnly, preload: false}
).then(r => r.violations.map(v => [v.id, v.nodes.map(
  n => n.html.slice(0, 200) + ' ' + n.failureSummary.slice(0, 200)).slice(0, 12)]))"""

# JupyterLab's own, where a notebook is closed before its kernel has answered all it was asked.
CANCELED = re.compile(r"Error: Canceled future for \w+_request message before replies were done$")


class Lab:
    """One page of JupyterLab, and what a person does in it.

    ``page`` is Playwright's page, for what has no method here. Cells count from 0. Tests of a file
    may share the page, since to load JupyterLab takes longer than most of them.
    """

    def __init__(self, server, page):
        self.root = server.root
        self.page = page
        self.errors = []  # of scripts in the page
        self.strays = []  # requests that left the server
        self._server = server
        self._shown = None  # what this test showed, which the next may want as well
        self.page.set_default_timeout(120 * SECONDS)
        self._listeners = {
            "pageerror": lambda error: self._note_error(str(error)),
            "request": lambda request: self._note(request.url),
            "websocket": lambda socket: self._note(socket.url),
        }
        for event, listener in self._listeners.items():
            self.page.on(event, listener)

    def _note_error(self, text):
        if not CANCELED.match(text):
            self.errors.append(text)

    def _note(self, url):
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.port != self._server.port:
            self.strays.append(url)

    # Notebooks

    def write(self, name, *sources):
        """Make a notebook of these code cells and return its name, below ``root``."""
        cells = [
            {
                "id": f"cell-{number}",
                "cell_type": "code",
                "source": source,
                "outputs": [],
                "metadata": {},
                "execution_count": None,
            }
            for number, source in enumerate(sources)
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        content = {"cells": cells, "metadata": {"kernelspec": kernel}}
        content |= {"nbformat": 4, "nbformat_minor": 5}
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
        return name

    def show(self, name, *sources):
        """Open a notebook of these cells and run them all; True if none failed.

        A test that shows the same as the one before finds its notebook and its kernel, emptied:
        both take longer to start than most of what is tested.
        """
        self._shown = self.page, name, sources
        if self._server.kept == self._shown:
            self._server.kept = None
            self.wait_idle()
            self.command("notebook:clear-all-cell-outputs")
            self.page.evaluate(RESTORE_CELLS, list(sources))
            said = self.execute(RESET)
            assert said.endswith("emptied\n"), said
        else:
            self._open(Path(self.write(name, *sources)))
            self.execute(REMEMBER)
        return self.run_all()

    def open(self, notebook, *, kernel=True, fresh=False):
        """Open a notebook: a name below ``root``, or a path, which is copied there first.

        With ``kernel=False`` it is opened as it was saved and no kernel is started; what is open
        is closed. With ``fresh=True`` JupyterLab is loaded anew, which takes most tests' time.
        """
        path = Path(notebook)
        if path.is_absolute():
            shutil.copy(path, self.root / path.name)
            path = Path(path.name)
        self._shown = None
        self._open(path, kernel=kernel, fresh=fresh)

    def _open(self, path, *, kernel=True, fresh=False):
        if self._server.kept:
            self._leave_notebooks()
        elif not kernel and not fresh:
            self.close_all()
        if fresh or not self._is_loaded():
            self._load()
        if not kernel:
            self._forget_kernel(self.root / path)
        self.command("docmanager:open", path=path.as_posix(), wait=kernel)
        if kernel:
            self.wait_idle()
        else:
            dialog = self.page.locator(".jp-Dialog")
            dialog.locator("select").select_option("null")
            dialog.locator(".jp-mod-accept").click()
            dialog.wait_for(state="detached")
        self.page.locator(".jp-Notebook-cell").first.wait_for()

    def _load(self):
        address = f"/doc/workspaces/w{secrets.token_hex(4)}?token={self._server.token}&reset"
        self.page.goto(f"{self._server.url}{address}")
        self.wait_for("() => !!window.jupyterapp")
        self._evaluate("() => jupyterapp.restored.then(() => true)", None)

    def close_all(self):
        """Close the notebooks, unsaved ones too; their kernels go on."""
        if self.page.evaluate("() => !!window.jupyterapp"):
            self.page.evaluate(CLOSE_ALL)
            self.wait_for(IS_EMPTY)

    def wait_for(self, script, argument=None, *, seconds=120):
        """Wait until a function in the page returns true.

        It is asked every tenth of a second: Playwright's own way asks with each frame, and each
        that is drawn for it takes as long as ten questions.
        """
        self.page.wait_for_function(
            script, arg=argument, polling=0.1 * SECONDS, timeout=seconds * SECONDS
        )

    def _is_loaded(self):
        """Return whether JupyterLab is in the page, with no notebook open."""
        return self.page.evaluate(f"() => !!window.jupyterapp && ({IS_EMPTY})()")

    def _forget_kernel(self, path):
        content = json.loads(path.read_text(encoding="utf-8"))
        # Lab would start the kernel by this name, or else one of the same language.
        content["metadata"]["kernelspec"] = {"name": "none", "display_name": "none"}
        content["metadata"].pop("language_info", None)
        path.write_text(json.dumps(content), encoding="utf-8")

    def save(self):
        self.command("docmanager:save")

    # Cells

    def run_all(self):
        """Run every cell and wait for the last; True if none failed."""
        return self.command("notebook:run-all-cells")

    def run_cell(self, number, *, wait=True):
        """Run one cell; with ``wait=False`` return while it runs."""
        self._select(number)
        return self.command("notebook:run-cell", wait=wait)

    def add_cell(self, source, *, wait=True):
        """Add a cell at the end, run it and return its number."""
        number = self.page.evaluate("() => jupyterapp.shell.currentWidget.content.widgets.length")
        self._select(number - 1)
        self.command("notebook:insert-cell-below")
        self.page.evaluate(
            "s => jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.setSource(s)",
            source,
        )
        self.run_cell(number, wait=wait)
        return number

    def _select(self, number):
        self.page.evaluate(
            "n => { jupyterapp.shell.currentWidget.content.activeCellIndex = n; }", number
        )

    def cell(self, number):
        """Return Playwright's locator of a cell."""
        return self.page.locator(".jp-NotebookPanel .jp-Notebook-cell").nth(number)

    def output(self, number):
        """Return Playwright's locator of a cell's output."""
        return self.cell(number).locator(".jp-Cell-outputArea")

    def cell_output_text(self, number):
        """Return what a cell's output reads, without the prompt."""
        shown = self.output(number).locator(".jp-OutputArea-output").all_inner_texts()
        return "\n".join(shown).strip()

    # Kernel and page

    def wait_idle(self):
        """Wait until the kernel has started and does nothing."""
        self.wait_for(KERNEL_IS_IDLE)

    def execute(self, code):
        """Run code in the notebook's kernel, outside any cell, and return what it prints.

        A cell that fails meanwhile, such as one that was interrupted, makes the kernel drop what
        waits behind it: that is asked for again.
        """
        return self._evaluate(
            """async code => {
              const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
              for (;;) {
                const future = kernel.requestExecute({code, store_history: false});
                let text = '';
                future.onIOPub = ({header, content}) => {
                  if (header.msg_type === 'stream') text += content.text;
                  if (header.msg_type === 'error') text += content.ename + ': ' + content.evalue;
                };
                const reply = await future.done;
                if (reply.content.status !== 'aborted') return text;
              }
            }""",
            code,
        )

    def command(self, name, *, wait=True, **arguments):
        """Run one of Lab's commands."""
        script = "async ([name, options]) => await jupyterapp.commands.execute(name, options)"
        if not wait:
            script = "([name, options]) => { jupyterapp.commands.execute(name, options); }"
        found = self._evaluate(
            f"async a => JSON.stringify((await ({script})(a)) === true)", [name, arguments]
        )
        return found == "true"

    def _evaluate(self, script, argument, seconds=180):
        # Playwright waits without end for a promise.
        late = (
            f"new Promise((_, no) => setTimeout(() => no(new Error('late')), {seconds * SECONDS}))"
        )
        return self.page.evaluate(f"a => Promise.race([({script})(a), {late}])", argument)

    def set_theme(self, name):
        """Change the theme, such as ``"JupyterLab Dark"``, and wait until it is there."""
        self.command("apputils:change-theme", theme=name)
        self.wait_for("n => document.body.dataset.jpThemeName === n", name)
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def violations(self, script, elements):
        """Return what axe-core finds in all elements of a locator, in each theme.

        A theme changes nothing but colours: the other rules are asked once. It may take most of the
        test's time, as axe-core looks at the whole page each time.
        """
        self.page.evaluate(script.read_text(encoding="utf-8"))
        found = []
        for theme, rules in (("Light", RULES), ("Dark", COLOURS)):
            self.set_theme(f"JupyterLab {theme}")
            self.page.evaluate(END_TRANSITIONS)
            nodes = elements.element_handles()
            found += [(theme, *one) for one in self.page.evaluate(VIOLATIONS, [nodes, rules])]
        return found

    def screenshot(self, name, *, element=None, dark=False):
        """Save a picture of the page, or of an element, in the folder in AGENTNB_SCREENSHOTS.

        With ``dark=True`` a second picture ``NAME_dark`` shows the dark theme. Without a folder
        nothing happens: a picture takes time.
        """
        if not (folder := os.environ.get("AGENTNB_SCREENSHOTS")):
            return
        self.page.wait_for_timeout(500)  # until what moves has come to rest
        (element or self.page).screenshot(path=Path(folder) / f"{name}.png")
        if dark:
            self.set_theme("JupyterLab Dark")
            self.screenshot(f"{name}_dark", element=element)
            self.set_theme(LIGHT)

    def leave(self, *, keep=False):
        """Close the notebooks and end their kernels; the next test finds the page as it was.

        With ``keep=True`` what was shown stays, for a test that shows the same.
        """
        if keep and self._shown:
            self._server.kept = self._shown
            self._use_light_theme()
        else:
            self._leave_notebooks()
        while self._listeners:
            self.page.remove_listener(*self._listeners.popitem())

    def _leave_notebooks(self):
        self._server.kept = None
        self.close_all()
        self._use_light_theme()
        self._server.shut_kernels()

    def _use_light_theme(self):
        theme = self.page.evaluate("() => document.body.dataset.jpThemeName")
        if theme and theme != LIGHT:
            self.set_theme(LIGHT)
