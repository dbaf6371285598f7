// One number over time: a line, the newest value at the right. The model keeps the values in
// "series" and is sent one value at a time; the views are redrawn from it.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100;

function initialize({ model }) {
  const onMessage = (message) => {
    const series = model.get("series");
    if (message.full) return model.set("series", message.full);
    if (message.v === undefined || message.v <= series.v) return;
    if (message.v > series.v + 1) return model.send({ do: "full" });
    const values = [...series.values, message.add].slice(-series.points);
    model.set("series", { ...series, v: message.v, values });
  };
  model.on("msg:custom", onMessage);
  return () => model.off("msg:custom", onMessage);
}

function node(tag, className) {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}

function drawing(tag, className) {
  const made = document.createElementNS(SVG, tag);
  if (className) made.setAttribute("class", className);
  return made;
}

const isNumber = (value) => value !== null && value !== undefined;

// A duration, as Python's Duration says it.
function duration(seconds) {
  const ms = seconds * 1000;
  if (ms < 999.5) return `${ms < 9.95 ? Number(ms.toPrecision(2)) : ms.toFixed(0)} ms`;
  if (seconds < 59.5) return `${seconds.toFixed(seconds < 9.95 ? 1 : 0)} s`;
  const whole = Math.round(seconds);
  const joined = (large, small, word) => (small ? `${large} ${small} ${word}` : large);
  if (whole < 3600) return joined(`${Math.floor(whole / 60)} min`, whole % 60, "s");
  return joined(`${Math.floor(whole / 3600)} h`, Math.floor((whole % 3600) / 60), "min");
}

function worded(value, unit) {
  if (unit === "s" && value > 0) return duration(value);
  return `${value.toLocaleString("en", { maximumSignificantDigits: 4 })} ${unit}`.trim();
}

// The upper end of the scale: 1, 2 or 5 times a power of ten.
function topOf({ values, low, high }) {
  if (isNumber(high)) return high;
  const largest = Math.max(0, ...values.filter(isNumber)) - low;
  if (largest <= 0) return low + 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  return low + [1, 2, 5, 10].map((step) => step * power).find((at) => at >= largest * (1 - 1e-9));
}

// Runs of neighbouring values as lists of points.
function runs({ values, points, low }, top) {
  const found = [];
  let run = null;
  values.forEach((value, at) => {
    if (!isNumber(value)) {
      run = null;
      return;
    }
    if (!run) found.push((run = []));
    const share = Math.min(1, Math.max(0, (value - low) / (top - low)));
    run.push([points - values.length + at, HEIGHT - share * HEIGHT]);
  });
  return found;
}

const line = (run) => "M" + run.map(([x, y]) => `${x} ${y}`).join("L");
// A value alone is a dot: a line of next to no length, whose round ends are seen.
const dot = ([[x, y]]) => `M${x} ${y}h0.01`;
const area = (run) => `${line(run)}L${run.at(-1)[0]} ${HEIGHT}L${run[0][0]} ${HEIGHT}Z`;

function render({ model, el }) {
  el.classList.add("agentnb-plot");
  const head = node("div", "agentnb-plot-head");
  const label = node("span", "agentnb-plot-label");
  const now = node("span", "agentnb-plot-now");
  head.append(label, now);
  const frame = node("div", "agentnb-plot-frame");
  const picture = drawing("svg");
  picture.setAttribute("role", "img");
  picture.setAttribute("preserveAspectRatio", "none");
  const filled = drawing("path", "agentnb-plot-area");
  const stroke = drawing("path", "agentnb-plot-line");
  const dots = drawing("path", "agentnb-plot-line agentnb-plot-dots");
  picture.append(filled, stroke, dots);
  const scale = node("div", "agentnb-plot-scale");
  scale.setAttribute("aria-hidden", "true");
  const upper = node("span", "");
  const lower = node("span", "");
  scale.append(upper, lower);
  frame.append(picture, scale);
  el.append(head, frame);

  const draw = () => {
    const series = model.get("series");
    const said = (value) => worded(value, series.unit);
    const known = series.values.filter(isNumber);
    const top = topOf(series);
    const found = runs(series, top);
    picture.setAttribute("viewBox", `0 0 ${Math.max(1, series.points - 1)} ${HEIGHT}`);
    const lines = found.filter((run) => run.length > 1);
    filled.setAttribute("d", lines.map(area).join(""));
    stroke.setAttribute("d", lines.map(line).join(""));
    dots.setAttribute("d", found.filter((run) => run.length === 1).map(dot).join(""));
    label.textContent = series.label;
    now.textContent = known.length ? said(known.at(-1)) : "nothing yet";
    now.classList.toggle("agentnb-plot-none", !known.length);
    upper.textContent = said(top);
    // Two ends that read the same would say nothing.
    lower.textContent = said(series.low) === said(top) ? "" : said(series.low);
    const [least, most] = [said(Math.min(...known)), said(Math.max(...known))];
    const between = least === most ? "" : `, between ${least} and ${most}`;
    const words = known.length ? `${said(known.at(-1))}${between}` : "nothing yet";
    picture.setAttribute("aria-label", `${series.label}: ${words}`);
    frame.title = words;
  };
  model.on("change:series", draw);
  draw();
  return () => model.off("change:series", draw);
}

export default { initialize, render };
