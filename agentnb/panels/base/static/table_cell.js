// A table that stays alive: one cell, and the box that marks a row. A value is a text, or a text
// and how it is drawn: a tone, a dot before it, a bar of parts. Sent as one module with table.js.

const SUPPRESS = "data-lm-suppress-shortcuts";

function node(tag, className, attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}


// ---- a cell

const textOf = (value) => (value === null ? "NULL" : typeof value === "object" ? value.text : value);

function barOf(cell) {
  let bar = cell.querySelector(".agentnb-meter");
  if (!bar) {
    bar = node("span", "agentnb-meter", { "aria-hidden": "true" });
    cell.prepend(bar);
  }
  return bar;
}

function drawBar(bar, parts) {
  while (bar.children.length > parts.length) bar.lastChild.remove();
  parts.forEach(([share, tone], at) => {
    const part = bar.children[at] ?? bar.appendChild(node("i"));
    // Something is never drawn as nothing.
    part.style.width = `${share > 0 ? Math.max(share * 100, 1.5) : 0}%`;
    setAttribute(part, "data-tone", tone);
  });
}

// Draws a value into a cell, and tells whether its text was another before.
function drawValue(cell, value) {
  const text = textOf(value);
  const drawn = value !== null && typeof value === "object" ? value : {};
  cell.classList.toggle("agentnb-null", value === null);
  setAttribute(cell, "data-tone", drawn.tone ?? null);
  cell.classList.toggle("agentnb-dotted", Boolean(drawn.dot));
  setAttribute(cell, "title", drawn.about ?? (text.length > 24 ? text : null));
  if (drawn.parts) {
    drawBar(barOf(cell), drawn.parts);
    let words = cell.querySelector(".agentnb-meter-text");
    if (!words) {
      [...cell.childNodes].forEach((old) => old.nodeType === Node.TEXT_NODE && old.remove());
      words = cell.appendChild(node("span", "agentnb-meter-text"));
    }
    const changed = words.textContent !== text;
    setText(words, text);
    return changed;
  }
  if (cell.textContent === text && !cell.firstElementChild) return false;
  const changed = cell.textContent !== text && cell.textContent !== "";
  cell.textContent = text;
  return changed;
}

// ---- the box that marks

function markBox(label, onClick) {
  const box = node("input", "agentnb-mark", {
    type: "checkbox",
    "aria-label": label,
    [SUPPRESS]: "true",
  });
  box.addEventListener("click", (event) => {
    event.stopPropagation();
    onClick(box.checked, event.shiftKey);
  });
  return box;
}
