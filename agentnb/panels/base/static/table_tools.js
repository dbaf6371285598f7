// A table that stays alive: what stands above it: title, filter, number of rows, copy and export,
// pages. Sent as one module with table.js.

const TYPING_MS = 200;
const SAID_MS = 4000;
const TYPES = { csv: "text/csv", json: "application/json" };
let lastAsk = 0;

// One Tab stop for several elements: the arrow keys move among them.
function roving(parent, elements) {
  const all = () => elements().filter((each) => !each.hidden && !each.disabled);
  const stop = () => {
    const known = all();
    const current = known.find((each) => each.tabIndex === 0) ?? known[0];
    for (const each of elements()) each.tabIndex = each === current ? 0 : -1;
  };
  parent.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const known = all();
    const at = known.indexOf(event.target);
    if (!by || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const next = known[Math.max(0, Math.min(known.length - 1, at + by))];
    for (const each of known) each.tabIndex = each === next ? 0 : -1;
    next.focus();
  });
  return stop;
}

function toolButton(className, label, text, onClick) {
  const button = node("button", className, {
    type: "button",
    "aria-label": label,
    title: label,
    [SUPPRESS]: "true",
  });
  button.textContent = text;
  button.addEventListener("click", onClick);
  return button;
}

function toFile(name, kind, text) {
  const link = node("a", "", { download: name });
  link.href = URL.createObjectURL(new Blob([text], { type: TYPES[kind] }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// The buttons that copy and save the rows: the rows are asked for, all pages, whole values.
function exporter(model, label, say) {
  const element = node("span", "agentnb-export", {
    role: "toolbar",
    "aria-label": `Copy and export ${label}`,
  });
  let waiting = null;
  const ask = (kind) => () => {
    waiting = `${++lastAsk}-${Math.random()}`;
    model.send({ do: "export", kind, ask: waiting });
  };
  const buttons = [
    toolButton("agentnb-tool", `Copy ${label}: tab-separated text`, "Copy", ask("tsv")),
    toolButton("agentnb-tool", `Save ${label} as CSV`, "CSV", ask("csv")),
    toolButton("agentnb-tool", `Save ${label} as JSON`, "JSON", ask("json")),
  ];
  element.append(...buttons);
  roving(element, () => buttons)();
  const take = async (message) => {
    const found = message.export;
    if (!found || found.ask !== waiting) return;
    waiting = null;
    const rows = `${found.rows.toLocaleString("en")} ${found.rows === 1 ? "row" : "rows"}`;
    const some = found.note ? `${rows} (${found.note})` : rows;
    if (found.kind === "tsv") {
      const done = await copyText(found.text);
      say(done ? `copied ${some}` : "the browser does not allow to copy");
    } else {
      toFile(found.name, found.kind, found.text);
      say(`saved ${some}: ${found.name}`);
    }
  };
  model.on("msg:custom", take);
  return { element, release: () => model.off("msg:custom", take) };
}

// Everything above the rows of one view.
function toolbar(model, { turnBy, toTable }) {
  const first = model.get("page");
  const element = node("div", "agentnb-tools");
  const title = node("span", "agentnb-table-title");
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
  const back = toolButton("agentnb-icon", "Previous page", "‹", () => turnBy(-1));
  const where = node("span", "agentnb-where");
  const forth = toolButton("agentnb-icon", "Next page", "›", () => turnBy(1));
  pager.append(back, where, forth);
  let said = "";
  let saying = 0;
  let counted = "";
  const say = (text) => {
    clearTimeout(saying);
    said = text;
    setText(count, said);
    saying = setTimeout(() => {
      said = "";
      setText(count, counted);
    }, SAID_MS);
  };
  const save = exporter(model, first.label, say);
  element.append(title);
  if (first.filterable) element.append(filter);
  element.append(count, node("span", "agentnb-fill"), save.element, pager);

  const number = (value) => value.toLocaleString("en");
  const counting = ({ meta, note, noun, count: things = null }) => {
    const total = things ?? meta.total;
    const all = `${number(total)} ${noun[total === 1 ? 0 : 1]}`;
    const rows = things === null ? all : `${number(meta.total)} rows`;
    const some = meta.shown === meta.total ? all : `${number(meta.shown)} of ${rows}`;
    const marks = meta.marks ? `${number(meta.marks)} marked` : "";
    return [some, note, marks].filter(Boolean).join(" · ");
  };
  const draw = (page) => {
    const { meta } = page;
    setText(title, page.title);
    setAttribute(title, "title", page.title.length > 40 ? page.title : null);
    counted = counting(page);
    setText(count, said || counted);
    setText(where, `${meta.page + 1} / ${meta.pages}`);
    pager.hidden = meta.pages < 2;
    back.disabled = meta.page === 0;
    forth.disabled = meta.page >= meta.pages - 1;
    if (document.activeElement !== filter) filter.value = meta.filter;
    const none = meta.total === 0 && !meta.filter;
    filter.hidden = count.hidden = none;
    save.element.hidden = meta.shown === 0;
    element.hidden = none && !page.title;
  };

  let typing = 0;
  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => model.send({ do: "filter", text: filter.value }), TYPING_MS);
  });
  filter.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    toTable();
  });
  const release = () => {
    clearTimeout(typing);
    clearTimeout(saying);
    save.release();
  };
  return { element, draw, release, toFilter: () => filter.focus() };
}

