// A table that stays alive: the views. Each is redrawn from the model's "page", touching only the
// nodes that differ, so that scroll position, focus and active row stay. Values enter as text,
// never as HTML. Sent as one module with table_model.js, which defines `initialize`, and
// table_cell.js, which draws a cell, before it.

const TYPING_MS = 200;
let lastView = 0;

// ---- a view

function render({ model, el }) {
  const uid = `agentnb-t${++lastView}`;
  const page = () => model.get("page");
  const first = page();
  el.classList.add("agentnb-table");

  const tools = node("div", "agentnb-tools");
  const filter = node("input", "agentnb-filter", {
    type: "search",
    placeholder: "Filter… or column:text",
    "aria-label": `Filter ${first.label}`,
    spellcheck: "false",
    autocomplete: "off",
    [SUPPRESS]: "true",
  });
  const count = node("span", "agentnb-count", { role: "status" });
  const pager = node("span", "agentnb-pager");
  const turn = (label, text, by) => {
    const button = node("button", "agentnb-icon", {
      type: "button",
      "aria-label": label,
      title: label,
      [SUPPRESS]: "true",
    });
    button.textContent = text;
    button.addEventListener("click", () => turnBy(by));
    return button;
  };
  const back = turn("Previous page", "‹", -1);
  const where = node("span", "agentnb-where");
  const forth = turn("Next page", "›", 1);
  pager.append(back, where, forth);
  if (first.filterable) tools.append(filter);
  tools.append(count, node("span", "agentnb-fill"), pager);

  const scroller = node("div", "agentnb-scroll");
  scroller.style.maxHeight = first.height;
  const table = node("table", "", {
    role: "grid",
    "aria-label": first.label || "Table",
    "aria-readonly": "true",
    tabindex: "0",
    [SUPPRESS]: "true",
  });
  const head = node("thead", "", { role: "rowgroup" });
  const headRow = node("tr", "", { role: "row", "aria-rowindex": "1" });
  head.append(headRow);
  const lead = first.markable ? 1 : 0; // columns before the first
  const markAll = markBox("Mark all", (on) => model.send({ do: "mark", rows: "all", on }));
  if (lead) {
    const cell = node("th", "agentnb-mark-cell", { role: "columnheader", scope: "col" });
    cell.append(markAll);
    headRow.append(cell);
  }
  const body = node("tbody", "", { role: "rowgroup" });
  table.append(head, body);
  const empty = node("div", "agentnb-empty");
  scroller.append(table, empty);
  el.append(tools, scroller);

  const drawn = new Map(); // row id -> <tr>
  let active = null; // row id
  let landing = null; // where the active row goes when the next page has come
  let shownPage = null;
  let lastMarked = null; // row id; marking with the shift key goes from there

  // -- drawing

  function drawHead({ cols, meta }) {
    while (headRow.children.length > cols.length + lead) headRow.lastChild.remove();
    if (lead) {
      markAll.checked = meta.marks > 0 && meta.marks >= meta.shown;
      markAll.indeterminate = meta.marks > 0 && !markAll.checked;
    }
    cols.forEach(([name, number], at) => {
      let cell = headRow.children[at + lead];
      if (!cell) {
        cell = node("th", "", { role: "columnheader", scope: "col" });
        const button = node("button", "agentnb-sort", {
          type: "button",
          [SUPPRESS]: "true",
        });
        button.append(node("span", "agentnb-name"), node("span", "agentnb-arrow"));
        button.addEventListener("click", () =>
          model.send({ do: "sort", column: page().cols[at][0] }),
        );
        cell.append(button);
        headRow.append(cell);
      }
      cell.classList.toggle("agentnb-number", Boolean(number));
      const direction = meta.sort?.[0] === name ? (meta.sort[1] ? "descending" : "ascending") : "none";
      setAttribute(cell, "aria-sort", direction);
      const [label, arrow] = cell.firstChild.children;
      setText(label, name);
      setText(arrow, { ascending: "▲", descending: "▼", none: "" }[direction]);
      setAttribute(cell.firstChild, "title", `Order by ${name}`);
    });
  }

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

  function drawTools({ meta, note, hint, rows, cols }) {
    const number = (value) => value.toLocaleString("en");
    const all = `${number(meta.total)} ${first.noun[meta.total === 1 ? 0 : 1]}`;
    const some = meta.shown === meta.total ? all : `${number(meta.shown)} of ${all}`;
    const marks = meta.marks ? `${number(meta.marks)} marked` : "";
    setText(count, [some, note, marks].filter(Boolean).join(" · "));
    setText(where, `${meta.page + 1} / ${meta.pages}`);
    pager.hidden = meta.pages < 2;
    back.disabled = meta.page === 0;
    forth.disabled = meta.page >= meta.pages - 1;
    if (document.activeElement !== filter) filter.value = meta.filter;
    const filtered = meta.total > 0 && rows.length === 0;
    setText(empty, filtered ? `No row matches “${meta.filter}”.` : hint);
    empty.hidden = rows.length > 0;
    table.hidden = rows.length === 0 && !filtered;
    setAttribute(table, "aria-rowcount", meta.shown + 1);
    setAttribute(table, "aria-colcount", cols.length + lead);
    tools.hidden = meta.total === 0 && !meta.filter;
  }

  function draw() {
    const now = page();
    drawHead(now);
    drawBody(now);
    drawTools(now);
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
    const top = row.offsetTop - head.offsetHeight;
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
      "/": () => filter.focus(),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
  table.addEventListener("keydown", onKey);

  let typing = 0;
  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => model.send({ do: "filter", text: filter.value }), TYPING_MS);
  });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      table.focus();
      move(1);
    }
  });

  model.on("change:page", draw);
  draw();
  return () => {
    clearTimeout(typing);
    model.off("change:page", draw);
  };
}

export default { initialize, render };
