// The socket: connects, subscribes, fills gaps, says when what is shown is not of now, and comes back by itself.
// Listeners are told at most once per frame, however many messages came.

import {TopicBoard, backoff_ms} from "./board.js";

const kSilence_ms = 15_000;
const kBeat_ms = 10_000;
const kTick_ms = 1000;

export class Live {
  /** connect() -> WebSocket; others are the browser's, or a test's. onState({state, since_ms, why}): "connecting", "live", "stale", "signed-out". */
  constructor({connect, onState = () => {}, now = Date.now, later = (act, ms) => setTimeout(act, ms), soon = (act) => requestAnimationFrame(act), every = (act, ms) => setInterval(act, ms), random = Math.random}) {
    Object.assign(this, {connect, onState, now, later, soon, random});
    this.topics = new Map(); // by name and filter
    this.changed = new Set();
    this.state = "connecting";
    this.attempt = 0;
    this.heard_ms = now();
    this.live_ms = null;
    this.isClosed = false;
    this.ticking = every(() => this.tick(), kTick_ms);
    this.open();
  }

  close() {
    this.isClosed = true;
    clearInterval(this.ticking);
    this.socket?.close();
  }

  /** onRows(board) after each change. One subscription per topic name: the newest filter counts. Returns the end of it. */
  subscribe(topic, onRows, {filter, onRefused} = {}) {
    let entry = this.topics.get(topic);
    if (!entry || JSON.stringify(entry.filter) !== JSON.stringify(filter)) {
      entry = {topic, filter, board: new TopicBoard(), listeners: new Set(entry?.listeners), refused: null};
      this.topics.set(topic, entry);
      this.ask(entry);
    }
    const listener = {onRows, onRefused};
    entry.listeners.add(listener);
    if (entry.refused) onRefused?.(entry.refused);
    else onRows(entry.board);
    return () => {
      const present = this.topics.get(topic);
      present?.listeners.delete(listener);
      if (!present || present.listeners.size) return;
      this.topics.delete(topic);
      this.send({op: "unsubscribe", topic});
    };
  }

  open() {
    if (this.isClosed) return;
    this.change("connecting");
    const socket = this.socket = this.connect();
    socket.onopen = () => {
      this.heard_ms = this.now();
      for (const entry of this.topics.values()) this.ask(entry);
    };
    socket.onmessage = (event) => { if (socket === this.socket) this.take(event.data); };
    socket.onclose = (event) => { if (socket === this.socket) this.lost(event.code); };
  }

  lost(code) {
    this.socket = null;
    if (this.isClosed) return;
    if (code === 4401) return this.change("signed-out");
    this.change(this.live_ms === null ? "connecting" : "stale", "The connection was lost. It is tried again by itself.");
    this.later(() => { if (!this.socket) this.open(); }, backoff_ms(this.attempt++, this.random));
  }

  send(message) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message));
  }

  ask(entry) {
    const {topic, filter, board} = entry;
    board.isAsking = true;
    const message = {op: "subscribe", topic};
    if (filter) message.filter = filter;
    if (board.run !== null) Object.assign(message, {run: board.run, last: board.last});
    this.send(message);
  }

  take(text) {
    this.heard_ms = this.now();
    let message;
    try { message = JSON.parse(text); } catch { return; }
    if (message.op === "hello") {
      this.attempt = 0;
      this.change("live");
    } else if (message.op === "heartbeat") {
      if (message.stale) this.change("stale", message.why);
      else this.change("live");
    } else if (message.op === "refused") {
      const entry = this.topics.get(message.topic);
      if (!entry) return;
      entry.refused = message.problem;
      entry.listeners.forEach((listener) => listener.onRefused?.(message.problem));
    } else if (message.op === "snapshot" || message.op === "delta") {
      const entry = this.topics.get(message.topic);
      if (!entry) return;
      const outcome = entry.board.apply(message);
      if (outcome === "gap") this.ask(entry);
      else if (outcome === "taken") {
        entry.refused = null;
        this.mark(entry);
      }
    }
  }

  mark(entry) {
    const isFirst = this.changed.size === 0;
    this.changed.add(entry);
    if (isFirst) this.soon(() => this.tell());
  }

  tell() {
    const entries = [...this.changed];
    this.changed.clear();
    for (const entry of entries) entry.listeners.forEach((listener) => listener.onRows(entry.board));
  }

  tick() {
    if (this.isClosed || !this.socket) return;
    const now = this.now();
    if (now - (this.beat_ms ?? 0) >= kBeat_ms) {
      this.beat_ms = now;
      this.send({op: "heartbeat"});
    }
    if (now - this.heard_ms > 2 * kSilence_ms) { // a cable that is out says nothing: begin anew
      const silent = this.socket;
      this.socket = null;
      silent.onclose = null;
      silent.close();
      this.lost(1006);
    } else if (this.state === "live" && now - this.heard_ms > kSilence_ms) {
      this.change("stale", "The mall has said nothing for a while.");
    }
  }

  change(state, why = "") {
    if (state === "live") this.live_ms = this.now();
    if (state === "connecting" && this.live_ms !== null) { state = "stale"; why = "Connecting again."; }
    if (state === this.state && why === this.why) return;
    Object.assign(this, {state, why});
    this.onState({state, since_ms: this.live_ms, why});
  }
}
