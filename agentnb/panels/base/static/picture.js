// HTML or SVG that Python has drawn. What bears "data-pick" can be picked, by mouse and keyboard:
// one stop for the Tab key, the arrows go from one to the next. A <details> with "data-key" stays
// open, and keeps the focus, when the next picture has one of that key.

const PICK = "[data-pick]";
const OPEN = "details[open][data-key]";

function render({ model, el }) {
  el.classList.add("agentnb-picture-view");
  const room = document.createElement("div");
  room.className = "agentnb-picture-room";
  room.setAttribute("role", "group");
  el.append(room);

  const all = () => [...room.querySelectorAll(PICK)];
  const named = (name) => all().find((one) => one.dataset.pick === name);
  let current = null; // the one that the Tab key stops at

  const stopAt = (element) => {
    all().forEach((one) => one.setAttribute("tabindex", one === element ? "0" : "-1"));
    current = element?.dataset.pick ?? null;
  };
  const keyed = (key) => room.querySelector(`details[data-key="${CSS.escape(key)}"]`);
  const draw = () => {
    const { scrollLeft, scrollTop } = room;
    const opened = [...room.querySelectorAll(OPEN)].map((one) => one.dataset.key);
    const focused = document.activeElement?.closest("summary")?.parentElement;
    const key = room.contains(focused) ? focused.dataset.key : null;
    const held = room.contains(document.activeElement) ? document.activeElement.dataset.pick : null;
    room.innerHTML = model.get("html");
    room.setAttribute("aria-label", model.get("label"));
    room.style.maxHeight = model.get("height");
    room.querySelector("svg")?.setAttribute("role", "group");
    for (const one of all()) {
      one.setAttribute("role", "button");
      // The label has all that is seen, which people say who speak to the page.
      [...one.children].forEach((part) => part.after(" "));
      one.setAttribute("aria-label", one.textContent.trim() || one.dataset.pick);
    }
    opened.forEach((one) => keyed(one)?.setAttribute("open", ""));
    stopAt(named(current) ?? all()[0]);
    if (key) keyed(key)?.firstElementChild.focus({ preventScroll: true });
    room.scrollTo(scrollLeft, scrollTop);
    if (held) named(held)?.focus({ preventScroll: true });
  };
  const pick = (element) => {
    if (!element) return;
    stopAt(element);
    model.send({ do: "pick", name: element.dataset.pick });
  };
  const onKey = (event) => {
    const here = event.target.closest(PICK);
    if (!here) return;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter" || event.key === " ") pick(here);
    else if (step) {
      const others = all();
      const next = others[others.indexOf(here) + step];
      if (next) {
        stopAt(next);
        next.focus();
      }
    } else return;
    event.preventDefault();
  };
  room.addEventListener("click", (event) => pick(event.target.closest(PICK)));
  room.addEventListener("keydown", onKey);
  model.on("change:html", draw);
  model.on("change:label", draw);
  draw();
  return () => {
    model.off("change:html", draw);
    model.off("change:label", draw);
  };
}

export default { render };
