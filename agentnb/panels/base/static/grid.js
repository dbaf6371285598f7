// A grid of a result: rows, their headers with histograms, filters, pages. The kernel has the rows;
// this draws "grid", the part that is seen, and asks for another by message. What the kernel
// changes comes as the keys of "grid" that differ. Values enter as text, never as HTML.

const SUPPRESS = "data-lm-suppress-shortcuts";
const TYPING_MS = 350;
const SILENT_MS = 8000;
const SILENT = "The kernel does not answer. If it was restarted, run the cell again.";
const WIDE = 32; // characters of a cell beyond which it also has a tooltip
let lastView = 0;

function initialize({ model }) {
  const onMessage = (message) => {
    const grid = model.get("grid");
    if (message.v === undefined || message.v <= grid.v) return;
    if (message.v > grid.v + 1 && !message.full) return model.send({ do: "full" });
    model.set("grid", { ...grid, ...message.set, v: message.v });
  };
  model.on("msg:custom", onMessage);
  if (model.get("grid").summing) model.send({ do: "full" }); // its answer may have come before
  return () => model.off("msg:custom", onMessage);
}

function node(tag, className = "", attributes = {}, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttribute(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

// As many children as there are items, each drawn with its item.
function drawAll(parent, items, make, draw) {
  while (parent.children.length > items.length) parent.lastChild.remove();
  items.forEach((item, at) => draw(parent.children[at] ?? parent.appendChild(make(at)), item, at));
}

const number = (value) => value.toLocaleString("en");
const rowsOf = (count) => `${number(count)} ${count === 1 ? "row" : "rows"}`;

function button(className, label, text, onClick) {
  const attributes = { type: "button", "aria-label": label, title: label, [SUPPRESS]: "true" };
  const made = node("button", className, attributes, text);
  made.addEventListener("click", onClick);
  return made;
}

// ---- the values of a column: bars of numbers and times, parts of one strip for text

function valuesOf(uid, ask) {
  const element = node("div", "values", { role: "listbox", "aria-orientation": "horizontal" });
  element.tabIndex = 0;
  element.setAttribute(SUPPRESS, "true");
  let column = 0;
  let version = 0;
  let active = 0;
  let known = null;
  const options = () => [...element.children];
  const activate = (at) => {
    const all = options();
    active = Math.max(0, Math.min(all.length - 1, at));
    all.forEach((each, number) => each.classList.toggle("active", number === active));
    setAttribute(element, "aria-activedescendant", all[active]?.id ?? null);
  };
  const choose = (at) => {
    const option = options()[at];
    if (!option || option.getAttribute("aria-disabled") || element.getAttribute("aria-disabled")) return;
    ask({ do: "bar", column, bar: Number(option.dataset.bar), s: version });
  };
  element.addEventListener("click", (event) => {
    const at = options().indexOf(event.target.closest("[role=option]"));
    if (at < 0) return;
    activate(at);
    choose(at);
  });
  element.addEventListener("focus", () => activate(active));
  element.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: active - 1, ArrowRight: active + 1, Home: 0, End: Infinity }[event.key];
    if (to !== undefined) activate(to);
    else if (event.key === "Enter" || event.key === " ") choose(active);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const draw = (name, at, summary, s, refuses) => {
    column = at;
    version = s;
    setAttribute(element, "aria-disabled", refuses ? "true" : null);
    if (known === summary) return;
    known = summary;
    const { bars, nulls, strip, on } = summary;
    element.hidden = !bars.length && !nulls;
    element.classList.toggle("strip", strip);
    setAttribute(element, "aria-label", `Values of ${name}: choose one to filter by it`);
    const most = Math.max(1, ...bars.map(([, count]) => count));
    const all = bars.reduce((sum, [, count]) => sum + count, nulls);
    const items = bars.map(([label, count, can, bar]) => ({ label, count, can, bar }));
    if (nulls) items.push({ label: "NULL", count: nulls, can: true, bar: -1 });
    const make = (at) => {
      const fill = node("i", "", { "aria-hidden": "true" });
      return node("div", "", { role: "option", id: `${uid}-${at}` }, fill);
    };
    drawAll(element, items, make, (option, { label, count, can, bar }) => {
      const words = `${label}: ${rowsOf(count)}`;
      option.dataset.bar = bar;
      option.className = bar === -1 ? "null" : "";
      setAttribute(option, "aria-label", words);
      setAttribute(option, "title", words);
      setAttribute(option, "aria-disabled", can ? null : "true");
      setAttribute(option, "aria-selected", String(bar === on));
      const fill = option.firstChild;
      setText(fill, strip && bar !== -1 && count > 0.15 * all ? label : "");
      // Something is never drawn as nothing.
      const share = count ? Math.max(0.04, Math.min(1, count / (bar === -1 ? all : most))) : 0;
      option.style.flexGrow = strip ? count : bar === -1 ? 0 : 1;
      fill.style.height = strip ? "100%" : `${100 * share}%`;
    });
    activate(active);
  };
  return { element, draw };
}

// ---- a view

function render({ model, el }) {
  const uid = `agentnb-g${++lastView}`;
  const first = model.get("grid");
  el.classList.add("agentnb-grid");
  el.setAttribute(SUPPRESS, "true");
  let waiting = 0;

  const ask = (content) => {
    el.classList.add("busy");
    table.setAttribute("aria-busy", "true");
    clearTimeout(waiting);
    waiting = setTimeout(() => tell(SILENT), SILENT_MS);
    model.send(content);
  };

  // -- above the rows

  const count = node("span", "count", { role: "status" });
  const back = button("icon", "Previous page", "‹", () => ask({ do: "turn", by: -1 }));
  const forth = button("icon", "Next page", "›", () => ask({ do: "turn", by: 1 }));
  const chips = node("span", "chips");
  const which = node("select", "", { "aria-label": "Column to search", [SUPPRESS]: "true" });
  const text = node("input", "", {
    type: "search",
    placeholder: "contains…",
    "aria-label": "Text that the column contains",
    spellcheck: "false",
    autocomplete: "off",
    [SUPPRESS]: "true",
  });
  const find = node("span", "find", {}, which, text);
  const columns = node("span", "columns");
  const left = button("icon", "Columns before", "‹", () => ask({ do: "columns", by: -1 }));
  const right = button("icon", "Columns behind", "›", () => ask({ do: "columns", by: 1 }));
  const where = node("span", "count");
  columns.append(where, left, right);
  const tools = node("div", "tools", {}, count, back, forth, chips, node("span", "fill"), find, columns);
  const alarm = node("div", "line error", { role: "alert" });
  const note = node("div", "line");
  const noted = node("span");
  const more = button("more", "Ask the database for all rows, to sort and filter them", "All rows", () => ask({ do: "all" }));
  note.append(noted, more);

  const tell = (words) => {
    setText(alarm, words);
    alarm.hidden = !words;
  };

  let typing = 0;
  const search = () => {
    clearTimeout(typing);
    ask({ do: "contains", column: Number(which.value), text: text.value });
  };
  text.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(search, TYPING_MS);
  });
  text.addEventListener("keydown", (event) => event.key === "Enter" && search());
  which.addEventListener("change", () => drawFind(model.get("grid"), true));

  function drawFind(grid, picked) {
    const found = grid.cols.filter(([, , , isText]) => isText);
    find.hidden = !found.length || Boolean(grid.refuses);
    const make = () => node("option");
    drawAll(which, found, make, (option, [at, name]) => {
      option.value = at;
      setText(option, name);
    });
    if (document.activeElement === text && !picked) return;
    const chip = grid.chips.find(([, at, words]) => at === Number(which.value) && words !== null);
    text.value = chip ? chip[2] : "";
  }

  // -- the rows

  const headers = node("tr");
  const body = node("tbody");
  const table = node("table", "", { "aria-label": first.label }, node("thead", "", {}, headers), body);
  const scroller = node("div", "scroll", { role: "group", "aria-label": `Rows of ${first.label}` }, table);
  scroller.tabIndex = 0;
  scroller.setAttribute(SUPPRESS, "true");
  scroller.style.maxHeight = `${first.height}px`;
  const empty = node("div", "empty");
  el.append(tools, node("div", "progress"), alarm, note, scroller, empty);
  const values = new Map(); // th -> its histogram

  const makeHeader = (at) => {
    const cell = node("th", "", { scope: "col" });
    const sort = button("sort", "", "", () =>
      ask({ do: "sort", column: model.get("grid").cols[at][0] }),
    );
    sort.removeAttribute("aria-label"); // its name is that of the column
    sort.append(node("span", "name"), node("span", "arrow", { "aria-hidden": "true" }));
    const made = valuesOf(`${uid}-${at}`, ask);
    values.set(cell, made);
    cell.append(sort, made.element, node("div", "words"));
    return cell;
  };

  const drawHeader = (grid) => (cell, [at, name, isNumber]) => {
    const [sort, , words] = cell.children;
    const [label, arrow] = sort.children;
    const down = grid.sort?.[0] === at ? grid.sort[1] : null;
    cell.classList.toggle("number", Boolean(isNumber));
    setAttribute(cell, "aria-sort", down === null ? "none" : down ? "descending" : "ascending");
    setText(label, name);
    setText(arrow, down === null ? "" : down ? "▼" : "▲");
    const next = down === null ? "ascending" : down ? "not at all" : "descending";
    setAttribute(sort, "title", grid.refuses || `Sort by ${name}: ${next}`);
    sort.disabled = Boolean(grid.refuses);
    const summary = grid.sums?.[at];
    const { element, draw } = values.get(cell);
    cell.classList.toggle("waits", !grid.sums && grid.summing);
    if (summary) draw(name, at, summary, grid.s, grid.refuses);
    else element.hidden = true;
    setText(words, summary?.words ?? "");
  };

  const drawRow = (grid) => (row, cells) => {
    drawAll(row, cells, () => node("td"), (cell, value, at) => {
      setText(cell, value ?? "NULL");
      cell.className = (value === null ? "null " : "") + (grid.cols[at][2] ? "number" : "");
      setAttribute(cell, "title", value?.length > WIDE ? value : null);
    });
  };

  function draw() {
    const grid = model.get("grid");
    const [start, shown, matched, total] = grid.at;
    clearTimeout(waiting);
    el.classList.toggle("busy", grid.busy);
    setAttribute(table, "aria-busy", grid.busy ? "true" : null);
    const some = matched === total ? "" : ` (${number(total)} in all)`;
    setText(count, shown ? `${number(start + 1)}–${number(start + shown)} of ${rowsOf(matched)}${some}` : `no rows${some}`);
    back.disabled = start === 0;
    forth.disabled = start + shown >= matched;
    back.hidden = forth.hidden = back.disabled && forth.disabled;
    const remove = (at) => {
      const chip = button("chip", "", "", () => ask({ do: "remove", chip: at }));
      chip.append(node("span", "name"), node("span", "", { "aria-hidden": "true" }, "×"));
      return chip;
    };
    drawAll(chips, grid.chips, remove, (chip, [words]) => {
      setText(chip.firstChild, words);
      setAttribute(chip, "aria-label", `Remove the filter ${words}`);
      setAttribute(chip, "title", `Remove the filter ${words}`);
    });
    drawFind(grid, false);
    const [from, to, all] = grid.window;
    columns.hidden = to - from >= all;
    setText(where, `columns ${from + 1}–${to} of ${number(all)}`);
    left.disabled = from === 0;
    right.disabled = to >= all;
    tell(grid.error);
    setText(noted, [grid.note, !grid.more && grid.refuses].filter(Boolean).join(" · "));
    more.hidden = !grid.more;
    note.hidden = !grid.more && !noted.textContent;
    drawAll(headers, grid.cols, makeHeader, drawHeader(grid));
    drawAll(body, grid.rows, () => node("tr"), drawRow(grid));
    setText(empty, shown ? "" : "No row passes the filters.");
    empty.hidden = Boolean(shown);
  }

  model.on("change:grid", draw);
  draw();
  return () => {
    clearTimeout(typing);
    clearTimeout(waiting);
    model.off("change:grid", draw);
  };
}

export default { initialize, render };
