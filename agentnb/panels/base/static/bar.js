// The title bar of a panel: title, state, three buttons. It also guards the panel it stands in.
//
// JupyterLab's command-mode shortcuts (b inserts a cell, x cuts it) match the focused element, so
// each element that can have the focus carries the attribute that ends their search. Core widgets
// cannot set attributes; this script sets them on whatever appears inside the panel.

const SUPPRESS = "data-lm-suppress-shortcuts";
const FOCUSABLE =
  "button, input, select, textarea, summary, a[href], [tabindex], [contenteditable='true']";
const STILL_HERE_MS = 30_000;

const ICONS = {
  refresh: "M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  resume: "M5 3.5v9l7.5-4.5z",
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

// ---- the guard

function hasName(element) {
  return (
    element.hasAttribute("aria-label") ||
    element.hasAttribute("aria-labelledby") ||
    element.labels?.length ||
    (element.matches("button, a, summary") && element.textContent.trim())
  );
}

function mark(element) {
  element.setAttribute(SUPPRESS, "true");
  if (hasName(element)) return;
  const name = element.title || element.placeholder || element.parentElement?.title;
  if (name) element.setAttribute("aria-label", name);
}

function markAll(element) {
  if (element.matches(FOCUSABLE)) mark(element);
  element.querySelectorAll(FOCUSABLE).forEach(mark);
}

function guard(root, label) {
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", label);
  root.setAttribute(SUPPRESS, "true");
  markAll(root);
  const watcher = new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "attributes") mark(change.target);
      else
        change.addedNodes.forEach((added) => {
          if (added.nodeType === Node.ELEMENT_NODE) markAll(added);
        });
    }
  });
  watcher.observe(root, { childList: true, subtree: true, attributeFilter: ["tabindex"] });

  // Saving is meant wherever the focus is: for this one key the attribute steps aside, before
  // JupyterLab's own listener on the document runs.
  const letSave = (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "s") return;
    if (!root.contains(event.target)) return;
    const held = [];
    for (let at = event.target; at; at = at.parentElement) {
      if (!at.hasAttribute(SUPPRESS)) continue;
      at.removeAttribute(SUPPRESS);
      held.push(at);
    }
    setTimeout(() => held.forEach((element) => element.setAttribute(SUPPRESS, "true")));
  };
  const stay = (event) => {
    if (!(event.ctrlKey || event.metaKey || event.altKey)) event.stopPropagation();
  };
  window.addEventListener("keydown", letSave, true);
  root.addEventListener("keydown", stay);
  return () => {
    watcher.disconnect();
    window.removeEventListener("keydown", letSave, true);
    root.removeEventListener("keydown", stay);
  };
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
  if (status.state === "paused") return age ? `paused · ${age}` : "paused";
  return periodic ? `live · ${age}` : `updated ${age}`;
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
  line.append(refresh, close);
  const message = node("div", "agentnb-message");
  message.setAttribute("role", "alert");
  el.append(line, message);

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
    if (root) release = guard(root, model.get("label"));
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
