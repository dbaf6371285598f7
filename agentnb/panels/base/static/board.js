// A board of sections: rows by their keys, which are told what differs. The model keeps the state;
// the views are redrawn from it. All texts are set as text.

const SVG = "http://www.w3.org/2000/svg";
const POINTS = 60;
const HEIGHT = 24;

function initialize({ model }) {
  const onMessage = (message) => {
    const state = model.get("state");
    if (message.full) return model.set("state", message.full);
    if (message.v === undefined || message.v <= state.v) return;
    if (message.v > state.v + 1) return model.send({ do: "full" });
    model.set("state", changed(state, message));
  };
  model.on("msg:custom", onMessage);
  return () => model.off("msg:custom", onMessage);
}

function changed(state, { v, at, order = {}, items = {}, points = null }) {
  const next = { ...state, v, at, order: { ...state.order, ...order }, items: { ...state.items } };
  for (const [section, rows] of Object.entries(items)) {
    const known = { ...next.items[section] };
    for (const [key, fields] of Object.entries(rows)) known[key] = { ...known[key], ...fields };
    next.items[section] = known;
  }
  for (const section of Object.keys(order)) {
    const kept = next.order[section].map((key) => [key, next.items[section][key]]);
    next.items[section] = Object.fromEntries(kept);
  }
  if (points) {
    const none = Array(POINTS).fill([0, 0]);
    const moved = (key) => [...(state.points[key] ?? none), points[key] ?? [0, 0]].slice(-POINTS);
    next.points = Object.fromEntries(next.order.cards.map((key) => [key, moved(key)]));
  }
  return next;
}

function node(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function setText(element, text = "") {
  if (element.textContent !== text) element.textContent = text;
}

function pressable(className, onClick) {
  const made = node("button", className);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

function ago(seconds) {
  if (seconds < 1) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}

// ---- rows of each section: what is made once, and what is shown again and again

function needRow(send, key) {
  const row = node("li", "agentnb-board-need");
  const dot = node("span", "agentnb-board-dot");
  const words = node("span", "agentnb-board-words");
  const title = node("strong");
  const text = node("span");
  words.append(title, text);
  const act = pressable("agentnb-board-button", () => send({ do: "act", key }));
  const sure = pressable("agentnb-board-button agentnb-board-sure", () => send({ do: "sure", key }));
  row.append(dot, words, act, sure);
  const show = (item) => {
    row.dataset.tone = item.tone;
    setText(title, item.title);
    setText(text, item.text ? `: ${item.text}` : "");
    setText(act, item.act);
    act.hidden = !item.act;
    act.setAttribute("aria-label", `${item.act}: ${item.title}`);
    setText(sure, item.offer);
    sure.hidden = !item.offer;
  };
  return { row, show };
}

function cardRow(send, key) {
  const row = node("div", "agentnb-board-card");
  const head = node("div", "agentnb-board-line");
  const name = pressable("agentnb-board-link", () => send({ do: "open", name: key }));
  const plain = node("strong", "", key);
  const about = node("span", "agentnb-board-dim agentnb-board-end");
  name.textContent = key;
  head.append(node("span", "agentnb-board-dot"), name, plain, about);
  const big = node("div", "agentnb-board-big");
  const number = node("span", "agentnb-board-number");
  const unit = node("span", "agentnb-board-dim");
  big.append(number, unit);
  const spark = sparkline();
  const foot = node("div", "agentnb-board-foot");
  row.append(head, big, spark.picture, foot);
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", key);
  const show = (item, points) => {
    row.dataset.tone = item.tone;
    name.hidden = !item.panel;
    plain.hidden = !!item.panel;
    name.title = `Open the panel: %${key} panel`;
    setText(about, item.about);
    setText(number, item.number);
    setText(unit, item.unit);
    setText(foot, item.foot);
    foot.title = item.foot;
    spark.draw(points ?? []);
  };
  return { row, show };
}

function drawing(tag, className) {
  const made = document.createElementNS(SVG, tag);
  made.setAttribute("class", className);
  return made;
}

function sparkline() {
  const picture = drawing("svg", "agentnb-board-spark");
  picture.setAttribute("viewBox", `0 0 ${POINTS - 1} ${HEIGHT}`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("role", "img");
  const area = drawing("path", "agentnb-board-area");
  const line = drawing("path", "agentnb-board-stroke");
  const bad = drawing("path", "agentnb-board-stroke agentnb-board-bad");
  picture.append(area, line, bad);
  let drawn = null;
  const draw = (points) => {
    const text = JSON.stringify(points);
    if (text === drawn) return;
    drawn = text;
    const top = Math.max(1, ...points.map(([calls]) => calls));
    const first = POINTS - points.length;
    const at = ([calls], index) => `${first + index} ${(HEIGHT - 2 - (calls / top) * (HEIGHT - 4)).toFixed(1)}`;
    const places = points.map(at);
    const path = places.length ? `M${places.join("L")}` : "";
    line.setAttribute("d", path);
    area.setAttribute("d", path && `${path}V${HEIGHT}H${first}Z`);
    bad.setAttribute("d", points.map((one, index) => (one[1] ? `M${places[index]}h0.01` : "")).join(""));
    const sum = (index) => points.reduce((total, one) => total + one[index], 0);
    const failed = sum(1) ? `, ${sum(1)} failed` : "";
    picture.setAttribute("aria-label", `${sum(0)} calls in the last 2 min${failed}`);
  };
  return { picture, draw };
}

function barRow(section) {
  return (send, key) => {
    const row = node("div", "agentnb-board-bar-row");
    const name = pressable("agentnb-board-link", () => send({ do: "open", name: section, key }));
    const bar = node("span", "agentnb-board-bar");
    bar.setAttribute("aria-hidden", "true");
    const text = node("span", "agentnb-board-dim");
    row.append(name, bar, text);
    const show = (item) => {
      setText(name, item.name);
      name.title = item.name;
      setText(text, item.text);
      text.title = item.text;
      const parts = item.parts.map(([share, tone]) => {
        const part = node("i");
        part.dataset.tone = tone;
        part.style.width = `${share * 100}%`;
        return part;
      });
      bar.replaceChildren(...parts);
    };
    return { row, show };
  };
}

function errorRow(send) {
  const row = node("div", "agentnb-board-error");
  const when = node("span", "agentnb-board-dim");
  const name = node("span", "agentnb-board-class");
  const message = node("span", "agentnb-board-message");
  let trace = "";
  const link = pressable("agentnb-board-link", () => send({ do: "trace", id: trace }));
  row.append(when, name, message, link);
  const show = (item, _points, at) => {
    trace = item.trace;
    setText(when, ago(at - item.when));
    when.title = new Date(item.when * 1000).toLocaleString();
    setText(name, item.name);
    name.title = `${item.name}, of ${item.service}`;
    setText(message, item.message);
    message.title = item.message;
    setText(link, trace ? `%trace ${trace.slice(0, 8)}` : "");
    link.hidden = !trace;
    link.title = "Show the trace";
  };
  return { row, show };
}

const SECTIONS = {
  needs: { title: "", tag: "ul", make: needRow, label: "Needs you" },
  cards: { title: "Services", make: cardRow, aside: "calls in the last 2 min" },
  queues: { title: "Queues", make: barRow("queue"), open: "queue", label: "Overview of queues" },
  workflows: {
    title: "Workflows",
    make: barRow("workflow"),
    open: "workflow",
    label: "Overview of workflows",  // the panel that its heading opens has the title
  },
  errors: { title: "Last errors", make: errorRow, aside: "%agentnb errors" },
};

// A section: its heading opens its panel; its rows stay where their keys stay.
function sectionOf(name, send) {
  const { title, tag = "div", make, label, open, aside } = SECTIONS[name];
  const section = node("section", `agentnb-board-section agentnb-board-${name}`);
  section.setAttribute("aria-label", label ?? title);
  if (title) {
    const head = node("div", "agentnb-board-line agentnb-board-title");
    const heading = node("h3");
    if (open) {
      const link = pressable("agentnb-board-link", () => send({ do: "open", name: open }));
      link.textContent = title;
      link.title = `Open the panel: %${open} panel`;
      heading.append(link);
    } else heading.textContent = title;
    head.append(heading, node("span", "agentnb-board-dim agentnb-board-end", aside ?? `%${open} panel`));
    section.append(head);
  }
  const list = node(tag, "agentnb-board-rows");
  const note = node("div", "agentnb-board-dim agentnb-board-note");
  section.append(list, note);
  const rows = new Map();
  const show = (state) => {
    const keys = state.order[name];
    for (const [key, { row }] of rows) {
      if (!keys.includes(key)) {
        row.remove();
        rows.delete(key);
      }
    }
    keys.forEach((key, index) => {
      if (!rows.has(key)) rows.set(key, make(send, key));
      const { row, show: showRow } = rows.get(key);
      if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
      showRow(state.items[name][key], state.points[key], state.at);
    });
    const text = state.items.notes[name]?.text ?? "";
    setText(note, text);
    note.hidden = !text;
    section.hidden = !keys.length && !text;
  };
  return { section, show };
}

function render({ model, el }) {
  const view = crypto.randomUUID?.() ?? String(Math.random());
  const send = (message) => model.send({ view, ...message });
  el.classList.add("agentnb-board");
  const head = node("div", "agentnb-board-line agentnb-board-head");
  const where = node("span", "agentnb-board-dim agentnb-board-where");
  const well = node("span", "agentnb-board-well agentnb-board-end");
  well.setAttribute("role", "status");
  head.append(where, well);
  const sections = Object.keys(SECTIONS).map((name) => sectionOf(name, send));
  el.append(head, ...sections.map(({ section }) => section));

  const draw = () => {
    const state = model.get("state");
    const { where: place = "", well: word = "", tone = "" } = state.items.notes.head ?? {};
    setText(where, place);
    where.title = place;
    setText(well, word);
    well.dataset.tone = tone;
    sections.forEach(({ show }) => show(state));
  };
  // Nothing is asked for while no one can see it: behind another tab, scrolled away.
  let seen = null;
  let within = true;
  const look = () => {
    const now = within && !document.hidden;
    if (now !== seen) send({ do: "seen", on: (seen = now) });
  };
  const watcher = new IntersectionObserver((entries) => {
    within = entries.at(-1).isIntersecting;
    look();
  });
  watcher.observe(el);
  document.addEventListener("visibilitychange", look);
  model.on("change:state", draw);
  draw();
  return () => {
    watcher.disconnect();
    document.removeEventListener("visibilitychange", look);
    model.off("change:state", draw);
    send({ do: "gone" });
  };
}

export default { initialize, render };
