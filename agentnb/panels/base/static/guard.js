// The guard of a panel: keys that are meant for it stay in it. Sent as one module with bar.js.
//
// JupyterLab's command-mode shortcuts (b inserts a cell, x cuts it) match the focused element, so
// each element that can have the focus carries the attribute that ends their search. Core widgets
// cannot set attributes; this script sets them on whatever appears inside the panel.

const SUPPRESS = "data-lm-suppress-shortcuts";
const FOCUSABLE =
  "button, input, select, textarea, summary, a[href], [tabindex], [contenteditable='true']";

function hasName(element) {
  return (
    element.hasAttribute("aria-label") ||
    element.hasAttribute("aria-labelledby") ||
    // Core widgets have an empty label, hidden: it names nothing.
    [...(element.labels ?? [])].some((each) => each.textContent.trim()) ||
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

function guard(root, label, onSubmit) {
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
  const submit = (event) => {
    const found = submitted(event);
    if (!found) return;
    event.preventDefault();
    event.stopPropagation();
    onSubmit(...found);
  };
  window.addEventListener("keydown", letSave, true);
  root.addEventListener("keydown", submit, true);
  root.addEventListener("keydown", stay);
  root.addEventListener("click", copyBlock);
  return () => {
    watcher.disconnect();
    window.removeEventListener("keydown", letSave, true);
    root.removeEventListener("keydown", submit, true);
    root.removeEventListener("keydown", stay);
    root.removeEventListener("click", copyBlock);
  };
}

// A text box that is submitted by a key: its mark and its text. The text goes along, since the box
// itself sends what was typed only when the focus leaves it.
function submitted(event) {
  if (event.key !== "Enter" || event.isComposing || event.altKey) return null;
  const box = event.target.closest(".agentnb-submit");
  if (!box || !event.target.matches("textarea, input")) return null;
  const byKey = event.shiftKey || event.ctrlKey || event.metaKey;
  if (!byKey && event.target.matches("textarea")) return null;
  const mark = [...box.classList].find((name) => name.startsWith("agentnb-submit-"));
  return [mark, event.target.value];
}

// The button of a block of text: it copies the whole block.
async function copyBlock(event) {
  const button = event.target.closest("button.agentnb-copy");
  const block = button?.closest(".agentnb-text-block").querySelector("pre");
  if (!block) return;
  const done = await copyText(block.textContent);
  button.textContent = done ? "Copied" : "Not copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

