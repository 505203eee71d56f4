// Rows of one socket topic, kept right by numbered messages (admin/README.md, "The socket"). Knows no document and no socket.

/** apply() says what became of a message: "taken", "gap" (ask again from `last`), "ignored" (of another time). */
export class TopicBoard {
  constructor() {
    this.rows = new Map();
    this.run = null;
    this.last = 0;
    this.isLoading = true;
    this.isAsking = true; // a subscribe is on its way
  }

  apply(message) {
    if (message.op === "snapshot" && message.from === 0) {
      this.rows.clear();
      this.run = message.run;
      this.last = 0;
    } else if (message.run !== this.run || message.from !== this.last) {
      if (message.run === this.run && message.to <= this.last) return "ignored"; // told twice
      if (this.isAsking) return "ignored"; // sent before our question was heard
      this.isAsking = true;
      return "gap";
    }
    for (const id of message.removed ?? []) this.rows.delete(id);
    for (const row of message.rows ?? []) this.rows.set(row.id, row);
    this.last = message.to;
    this.isLoading = Boolean(message.more);
    this.isAsking = false;
    return "taken";
  }
}

/** How long until the next try to connect: doubling, at most half a minute, not all pages at once. */
export function backoff_ms(attempt, random = Math.random) {
  return Math.round(Math.min(30_000, 500 * 2 ** Math.min(attempt, 10)) * (0.5 + random() * 0.5));
}

/** Rows by order state: {pending: 3, ...}. */
export function countBy(rows, field) {
  const counts = {};
  for (const row of rows) counts[row[field]] = (counts[row[field]] ?? 0) + 1;
  return counts;
}
