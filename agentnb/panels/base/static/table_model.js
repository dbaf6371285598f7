// A table that stays alive: the model. It keeps the whole visible page in "page", and applies to it
// the messages that say what has changed. Sent as one module with table.js.

function applied(page, message) {
  if (message.full) return { ...page, ...message.full, ...message.words, v: message.v };
  const rows = new Map(page.rows.map(([id, cells]) => [id, cells]));
  for (const [id, ...edits] of message.set ?? []) {
    const cells = [...(rows.get(id) ?? [])];
    for (let at = 0; at < edits.length; at += 2) cells[edits[at]] = edits[at + 1];
    rows.set(id, cells);
  }
  for (const [id, cells] of message.new ?? []) rows.set(id, cells);
  const order = message.order ?? page.rows.map(([id]) => id);
  return {
    ...page,
    ...message.words,
    rows: order.map((id) => [id, rows.get(id) ?? []]),
    meta: { ...page.meta, ...message.meta },
    v: message.v,
  };
}

function initialize({ model }) {
  const onMessage = (message) => {
    const page = model.get("page");
    if (message.v === undefined || message.v < page.v) return;
    if (message.full) model.set("page", applied(page, message));
    else if (message.v === page.v + 1) model.set("page", applied(page, message));
    else if (message.v > page.v) model.send({ do: "full" });
  };
  model.on("msg:custom", onMessage);
  return () => model.off("msg:custom", onMessage);
}
