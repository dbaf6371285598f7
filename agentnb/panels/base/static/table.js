// A table that stays alive: the views. Each is redrawn from the model's "page", touching only the
// nodes that differ, so that scroll position, focus and active row stay. Values enter as text,
// never as HTML. Sent as one module with table_model.js, which defines `initialize`, table_cell.js,
// table_tools.js and table_head.js, which draw what is in and above it, before it.

const WHOLE = 32; // characters of a cell that are never cut, such as those of a time
let lastView = 0;

// ---- a view

function render({ model, el }) {
  const uid = `agentnb-t${++lastView}`;
  const page = () => model.get("page");
  const first = page();
  el.classList.add("agentnb-table");

  const tools = toolbar(model, {
    turnBy,
    toTable: () => {
      table.focus();
      move(1);
    },
  });

  const scroller = node("div", "agentnb-scroll");
  scroller.style.maxHeight = first.height;
  const table = node("table", "", {
    role: "grid",
    "aria-label": first.label || "Table",
    "aria-readonly": "true",
    tabindex: "0",
    [SUPPRESS]: "true",
  });
  const head = header(model, first);
  const { lead } = head;
  const body = node("tbody", "", { role: "rowgroup" });
  table.append(head.element, body);
  const empty = node("div", "agentnb-empty");
  scroller.append(table, empty);
  const frame = node("div", "agentnb-scroll-frame");
  frame.append(scroller);
  el.append(tools.element, frame);

  const drawn = new Map(); // row id -> <tr>
  let active = null; // row id
  let landing = null; // where the active row goes when the next page has come
  let shownPage = null;
  let lastMarked = null; // row id; marking with the shift key goes from there

  // -- drawing

  function drawRow(row, cells, cols) {
    while (row.children.length > cols.length + lead) row.lastChild.remove();
    cols.forEach(([name, number], at) => {
      let cell = row.children[at + lead];
      if (!cell) {
        cell = node("td", "", { role: "gridcell" });
        row.append(cell);
      }
      const changed = drawValue(cell, cells[at] ?? null);
      if (changed && row.isConnected && !first.quiet.includes(name)) flash(cell);
      cell.classList.toggle("agentnb-number", Boolean(number));
      cell.classList.toggle("agentnb-whole", textOf(cells[at] ?? null).length <= WHOLE);
    });
  }

  function flash(cell) {
    if (!cell.animate || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const colour = getComputedStyle(el).getPropertyValue("--agentnb-flash").trim();
    cell.animate([{ backgroundColor: colour }, { backgroundColor: "transparent" }], 900);
  }

  function drawBody({ rows, cols, meta }) {
    const wanted = new Set(rows.map(([id]) => id));
    for (const [id, row] of drawn) {
      if (wanted.has(id)) continue;
      row.remove();
      drawn.delete(id);
    }
    let place = body.firstChild;
    rows.forEach(([id, cells], at) => {
      let row = drawn.get(id);
      if (!row) {
        row = node("tr", "", { role: "row", id: `${uid}-${id}` });
        row.addEventListener("click", () => {
          activate(id);
          choose();
        });
        if (lead) {
          const cell = node("td", "agentnb-mark-cell", { role: "gridcell" });
          const box = markBox(`Mark ${textOf(cells[0] ?? null)}`, (on, range) => mark(id, on, range));
          box.tabIndex = -1; // the space bar marks the active row
          cell.append(box);
          cell.addEventListener("click", (event) => event.stopPropagation());
          row.append(cell);
        }
        drawn.set(id, row);
      }
      if (row === place) place = place.nextSibling;
      else body.insertBefore(row, place);
      drawRow(row, cells, cols);
      setAttribute(row, "aria-rowindex", meta.page * meta.size + at + 2);
      setAttribute(row, "aria-selected", id === meta.selected);
      if (lead) row.querySelector(".agentnb-mark").checked = meta.marked.includes(id);
    });
  }

  function drawEmpty({ meta, hint, rows, cols }) {
    const filtered = meta.total > 0 && rows.length === 0;
    setText(empty, filtered ? `No row matches “${meta.filter}”.` : hint);
    empty.hidden = rows.length > 0;
    table.hidden = rows.length === 0 && !filtered;
    setAttribute(table, "aria-rowcount", meta.shown + 1);
    setAttribute(table, "aria-colcount", cols.length + lead);
  }

  // Says at which edges there is more to scroll to.
  function cue() {
    const { scrollLeft, scrollTop, scrollWidth, scrollHeight, clientWidth, clientHeight } = scroller;
    frame.classList.toggle("agentnb-more-left", scrollLeft > 1);
    frame.classList.toggle("agentnb-more-right", scrollLeft + clientWidth < scrollWidth - 1);
    frame.classList.toggle("agentnb-more-below", scrollTop + clientHeight < scrollHeight - 1);
  }

  function draw() {
    const now = page();
    head.draw(now);
    drawBody(now);
    drawEmpty(now);
    tools.draw(now);
    cue();
    if (shownPage !== null && shownPage !== now.meta.page) scroller.scrollTop = 0;
    shownPage = now.meta.page;
    if (landing !== null && now.rows.length) {
      activate(now.rows.at(landing)[0]);
      landing = null;
    } else if (active !== null) {
      activate(drawn.has(active) ? active : null, false);
    }
  }

  // -- the active row

  function activate(id, scroll = true) {
    drawn.get(active)?.classList.remove("agentnb-active");
    active = id;
    const row = drawn.get(id);
    setAttribute(table, "aria-activedescendant", row ? row.id : null);
    if (!row) return;
    row.classList.add("agentnb-active");
    if (!scroll) return;
    const top = row.offsetTop - head.element.offsetHeight;
    const bottom = row.offsetTop + row.offsetHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (bottom > scroller.scrollTop + scroller.clientHeight)
      scroller.scrollTop = bottom - scroller.clientHeight;
  }

  function choose() {
    if (active !== null) model.send({ do: "select", row: active });
  }

  function mark(id, on, range) {
    const ids = page().rows.map(([each]) => each);
    const [from, to] = [ids.indexOf(range ? lastMarked : id), ids.indexOf(id)].sort((a, b) => a - b);
    lastMarked = id;
    model.send({ do: "mark", rows: from < 0 ? [id] : ids.slice(from, to + 1), on });
  }

  function turnBy(by) {
    const { meta } = page();
    const to = meta.page + by;
    if (to < 0 || to >= meta.pages) return false;
    model.send({ do: "page", page: to });
    return true;
  }

  function move(by) {
    const ids = page().rows.map(([id]) => id);
    if (!ids.length) return;
    const at = ids.indexOf(active);
    if (at < 0) return activate(by > 0 ? ids[0] : ids.at(-1));
    const to = at + by;
    if (to >= ids.length && at === ids.length - 1 && turnBy(1)) landing = 0;
    else if (to < 0 && at === 0 && turnBy(-1)) landing = -1;
    else activate(ids[Math.max(0, Math.min(ids.length - 1, to))]);
  }

  function jump(at) {
    const { rows } = page();
    if (rows.length) activate(rows.at(at)[0]);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== table) return;
    const height = drawn.get(active)?.offsetHeight || 24;
    const screen = Math.max(1, Math.floor(scroller.clientHeight / height) - 2);
    const keys = {
      ArrowDown: () => move(1),
      ArrowUp: () => move(-1),
      PageDown: () => move(screen),
      PageUp: () => move(-screen),
      Home: () => jump(0),
      End: () => jump(-1),
      Enter: choose,
      " ": () => {
        if (lead && active !== null) mark(active, !page().meta.marked.includes(active), event.shiftKey);
      },
      "/": tools.toFilter,
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
  table.addEventListener("keydown", onKey);

  scroller.addEventListener("scroll", cue, { passive: true });
  const resized = new ResizeObserver(cue);
  resized.observe(scroller);
  model.on("change:page", draw);
  draw();
  return () => {
    resized.disconnect();
    tools.release();
    model.off("change:page", draw);
  };
}

export default { initialize, render };
