// The title bar of a panel: title, state, buttons, help. Sent as one module with guard.js.

const STILL_HERE_MS = 30_000;

const ICONS = {
  refresh: "M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  resume: "M5 3.5v9l7.5-4.5z",
  help: "M5.6 6a2.4 2.4 0 1 1 3.4 2.2c-.7.4-1 .8-1 1.6M8 12.4v.1",
  close: "M4 4l8 8M12 4l-8 8",
};

function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function icon(button, name) {
  const SVG = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 16 16");
  picture.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  picture.append(path);
  button.replaceChildren(picture);
}

function iconButton(name, title, onClick) {
  const button = node("button", "agentnb-icon");
  button.type = "button";
  button.setAttribute(SUPPRESS, "true");
  button.addEventListener("click", onClick);
  name_(button, name, title);
  return button;
}

function name_(button, name, title) {
  icon(button, name);
  button.title = title;
  button.setAttribute("aria-label", title);
}

// ---- the bar

function ago(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return `${Math.floor(seconds / 3600)} h ago`;
}

function words(status, periodic, freshAt) {
  const age = freshAt === null ? "" : ago((Date.now() - freshAt) / 1000);
  if (status.state === "loading") return "loading…";
  if (status.state === "stale") return `stale: ${status.reason}${age ? ` · from ${age}` : ""}`;
  if (status.state === "ended") return `ended: ${status.reason}`;
  if (status.state === "paused") return age ? `paused · ${age}` : "paused";
  return periodic ? `live · ${age}` : `updated ${age}`;
}

// The keys of the panel, hidden until they are asked for.
function helpOf(keys, label) {
  const text = node("dl", "agentnb-help");
  text.hidden = true;
  text.id = `agentnb-help-${Math.random().toString(36).slice(2)}`;
  text.setAttribute("aria-label", `Keys of ${label}`);
  for (const [key, what] of keys) text.append(node("dt", "", key), node("dd", "", what));
  const show = (shown) => {
    text.hidden = !shown;
    button.setAttribute("aria-expanded", String(shown));
  };
  const button = iconButton("help", "Help: keys", () => show(text.hidden));
  button.setAttribute("aria-controls", text.id);
  button.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(false);
  });
  show(false);
  return { button, text };
}

function render({ model, el }) {
  const view = crypto.randomUUID?.() ?? String(Math.random());
  const send = (what) => model.send({ do: what, view });
  const periodic = model.get("periodic");

  el.classList.add("agentnb-bar");
  const line = node("div", "agentnb-bar-line");
  const dot = node("span", "agentnb-dot");
  dot.setAttribute("aria-hidden", "true");
  const state = node("span", "agentnb-state");
  state.setAttribute("role", "status");
  state.setAttribute("aria-live", "off"); // a clock that is read aloud every second helps nobody
  const pause = iconButton("pause", "Pause", () => send("pause"));
  const refresh = iconButton("refresh", "Refresh now", () => send("refresh"));
  const close = iconButton("close", "Close panel", () => {
    // The copy beneath, for a notebook without a kernel, goes with the panel.
    const below = el.closest(".jp-OutputArea-child")?.nextElementSibling;
    below?.querySelector(".agentnb-static")?.remove();
    send("close");
  });
  line.append(dot, node("span", "agentnb-title", model.get("label")), state);
  line.append(node("span", "agentnb-fill"));
  if (periodic) line.append(pause);
  const help = helpOf(model.get("keys_help"), model.get("label"));
  line.append(refresh, help.button, close);
  const message = node("div", "agentnb-message");
  message.setAttribute("role", "alert");
  el.append(line, help.text, message);

  let freshAt = null;
  const tick = () => {
    const text = words(model.get("status"), periodic, freshAt);
    if (state.textContent !== text) {
      state.textContent = text;
      state.title = text;
    }
  };
  const showStatus = () => {
    const status = model.get("status");
    freshAt = status.age === null || status.age === undefined ? null : Date.now() - status.age * 1000;
    el.dataset.state = status.state;
    const paused = status.state === "paused";
    pause.hidden = status.state === "ended";
    name_(pause, paused ? "resume" : "pause", paused ? "Resume" : "Pause");
    tick();
  };
  const showMessage = () => {
    const { text = "", error = false } = model.get("message");
    message.textContent = text;
    message.classList.toggle("agentnb-error", error);
    message.hidden = !text;
  };
  const here = () => {
    if (!document.hidden) send("here");
  };

  let release = null;
  const findRoot = () => {
    const root = release ? null : el.closest(".agentnb-panel");
    if (root) release = guard(root, model.get("label"), (box, text) => model.send({ do: "submit", box, text }));
  };
  // The element is put into the page after this returns, perhaps much later (cells off screen).
  const placed = new ResizeObserver(findRoot);
  placed.observe(el);
  findRoot();

  model.on("change:status", showStatus);
  model.on("change:message", showMessage);
  document.addEventListener("visibilitychange", here);
  const clock = setInterval(tick, 1000);
  const life = setInterval(here, STILL_HERE_MS);
  showStatus();
  showMessage();
  here();

  return () => {
    model.off("change:status", showStatus);
    model.off("change:message", showMessage);
    document.removeEventListener("visibilitychange", here);
    clearInterval(clock);
    clearInterval(life);
    placed.disconnect();
    release?.();
    send("gone");
  };
}

export default { render };
