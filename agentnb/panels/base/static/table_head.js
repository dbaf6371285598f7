// A table that stays alive: the header. It is one Tab stop; the arrow keys move in it. Sent as one
// module with table.js.

function header(model, { markable }) {
  const element = node("thead", "", { role: "rowgroup" });
  const row = node("tr", "", { role: "row", "aria-rowindex": "1" });
  element.append(row);
  const lead = markable ? 1 : 0; // columns before the first
  const markAll = markBox("Mark all", (on) => model.send({ do: "mark", rows: "all", on }));
  if (lead) {
    const cell = node("th", "agentnb-mark-cell", { role: "columnheader", scope: "col" });
    cell.append(markAll);
    row.append(cell);
  }
  const stop = roving(row, () => [...row.querySelectorAll(".agentnb-mark, .agentnb-sort")]);

  const newCell = (at) => {
    const cell = node("th", "", { role: "columnheader", scope: "col" });
    const button = node("button", "agentnb-sort", { type: "button", [SUPPRESS]: "true" });
    button.append(node("span", "agentnb-name"), node("span", "agentnb-arrow"));
    button.addEventListener("click", () =>
      model.send({ do: "sort", column: model.get("page").cols[at][0] }),
    );
    cell.append(button);
    return cell;
  };

  const draw = ({ cols, meta }) => {
    while (row.children.length > cols.length + lead) row.lastChild.remove();
    if (lead) {
      markAll.checked = meta.marks > 0 && meta.marks >= meta.shown;
      markAll.indeterminate = meta.marks > 0 && !markAll.checked;
    }
    cols.forEach(([name, number], at) => {
      const cell = row.children[at + lead] ?? row.appendChild(newCell(at));
      cell.classList.toggle("agentnb-number", Boolean(number));
      const direction = meta.sort?.[0] === name ? (meta.sort[1] ? "descending" : "ascending") : "none";
      setAttribute(cell, "aria-sort", direction);
      const [label, arrow] = cell.firstChild.children;
      setText(label, name);
      setText(arrow, { ascending: "▲", descending: "▼", none: "" }[direction]);
      setAttribute(cell.firstChild, "title", `Order by ${name}`);
    });
    stop();
  };
  return { element, draw, lead };
}

