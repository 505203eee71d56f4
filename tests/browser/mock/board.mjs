// The live board of the mock: rows by topic, each change numbered, viewers that are told what changed since they last heard.

import {randomBytes} from "node:crypto";

export class Board {
  constructor() {
    this.run = randomBytes(8).toString("hex");
    this.topics = new Map();
    this.viewers = new Set();
    this.stale = null;
    this.flushing = setInterval(() => this.flush(), 100);
    this.beating = setInterval(() => this.viewers.forEach((viewer) => viewer.beat()), 2000);
  }

  close() {
    clearInterval(this.flushing);
    clearInterval(this.beating);
    this.viewers.forEach((viewer) => viewer.socket.cut());
  }

  topic(name) {
    if (!this.topics.has(name)) this.topics.set(name, {number: 0, rows: new Map(), removed: new Map()});
    return this.topics.get(name);
  }

  put(name, row) {
    const topic = this.topic(name);
    topic.rows.set(row.id, {row: {...row}, number: ++topic.number});
    topic.removed.delete(row.id);
  }

  remove(name, id) {
    const topic = this.topic(name);
    if (topic.rows.delete(id)) topic.removed.set(id, ++topic.number);
  }

  /** A gateway that started anew: other numbers. */
  restart() {
    this.run = randomBytes(8).toString("hex");
    for (const topic of this.topics.values()) {
      topic.number = 0;
      topic.removed.clear();
      for (const entry of topic.rows.values()) entry.number = ++topic.number;
    }
  }

  flush() { for (const viewer of this.viewers) viewer.flush(); }

  view(socket, me, mayRead) {
    const viewer = new Viewer(this, socket, me, mayRead);
    this.viewers.add(viewer);
    viewer.hello();
    return viewer;
  }
}

const kPart = 500;

class Viewer {
  constructor(board, socket, me, mayRead) { Object.assign(this, {board, socket, me, mayRead, subscriptions: new Map(), isMuted: false}); }

  hello() { this.socket.send({op: "hello", run: this.board.run, heartbeat_ms: 2000, me: this.me}); }
  beat() {
    if (!this.isMuted) this.socket.send({op: "heartbeat", at_ms: Date.now(), stale: Boolean(this.board.stale), why: this.board.stale ?? ""});
  }

  take(text) {
    const message = JSON.parse(text);
    if (message.op === "unsubscribe") this.subscriptions.delete(message.topic);
    if (message.op !== "subscribe") return;
    const refusal = this.mayRead(message.topic);
    if (refusal) return this.socket.send({op: "refused", topic: message.topic, problem: refusal});
    const isKnown = message.run === this.board.run && Number.isInteger(message.last);
    this.subscriptions.set(message.topic, {last: isKnown ? message.last : 0, isNew: !isKnown, filter: message.filter ?? {}});
    this.flush();
  }

  flush() {
    if (this.isMuted) return;
    for (const [name, sub] of this.subscriptions) this.tell(name, sub);
  }

  tell(name, sub) {
    const topic = this.board.topic(name);
    if (topic.number === sub.last && !sub.isNew) return;
    const fits = (row) => !sub.filter.store || (row.store_ids ?? []).includes(sub.filter.store);
    const rows = [...topic.rows.values()].filter((entry) => (sub.isNew || entry.number > sub.last) && fits(entry.row)).map((entry) => entry.row);
    const removed = sub.isNew ? [] : [...topic.removed].filter(([, number]) => number > sub.last).map(([id]) => id);
    const op = sub.isNew ? "snapshot" : "delta";
    const parts = Math.max(1, Math.ceil(rows.length / kPart));
    for (let part = 0; part < parts; ++part) {
      this.socket.send({op: part === 0 ? op : "delta", topic: name, run: this.board.run, from: part === 0 ? (sub.isNew ? 0 : sub.last) : topic.number,
        to: topic.number, rows: rows.slice(part * kPart, (part + 1) * kPart), removed: part === 0 ? removed : [], more: part + 1 < parts});
    }
    sub.last = topic.number;
    sub.isNew = false;
  }
}
