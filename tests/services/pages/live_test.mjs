import assert from "node:assert/strict";
import test from "node:test";
import {TopicBoard, backoff_ms, countBy} from "../../../services/gateways/admin/page/board.js";
import {Live} from "../../../services/gateways/admin/page/live.js";

const part = (op, from, to, rows = [], more = {}) => ({op, topic: "orders", run: "R1", from, to, rows, removed: [], more: false, ...more});
const row = (id, status = "pending") => ({id, status});
const ids = (board) => [...board.rows.keys()].sort();

test("a snapshot replaces everything, deltas go on from it", () => {
  const board = new TopicBoard();
  assert.equal(board.apply(part("snapshot", 0, 5, [row("A"), row("B")])), "taken");
  assert.equal(board.apply(part("delta", 5, 7, [row("B", "ready"), row("C")], {removed: ["A"]})), "taken");
  assert.deepEqual(ids(board), ["B", "C"]);
  assert.equal(board.rows.get("B").status, "ready");
  assert.equal(board.apply(part("snapshot", 0, 9, [row("Z")])), "taken");
  assert.deepEqual(ids(board), ["Z"]);
});

test("a snapshot in parts is loading until its last part", () => {
  const board = new TopicBoard();
  board.apply(part("snapshot", 0, 3, [row("A")], {more: true}));
  assert.ok(board.isLoading);
  board.apply(part("delta", 3, 6, [row("B")], {more: false}));
  assert.ok(!board.isLoading);
  assert.deepEqual(ids(board), ["A", "B"]);
});

test("a gap changes nothing and is asked for once", () => {
  const board = new TopicBoard();
  board.apply(part("snapshot", 0, 5, [row("A")]));
  assert.equal(board.apply(part("delta", 7, 9, [row("B")])), "gap");
  assert.equal(board.apply(part("delta", 9, 10, [row("C")])), "ignored");
  assert.deepEqual(ids(board), ["A"]);
  assert.equal(board.apply(part("delta", 5, 10, [row("B"), row("C")])), "taken");
  assert.deepEqual(ids(board), ["A", "B", "C"]);
});

test("what is told twice changes nothing", () => {
  const board = new TopicBoard();
  board.apply(part("snapshot", 0, 5, [row("A")]));
  board.apply(part("delta", 5, 6, [row("A", "ready")]));
  assert.equal(board.apply(part("delta", 5, 6, [row("A", "pending")])), "ignored");
  assert.equal(board.rows.get("A").status, "ready");
});

test("a gateway that started anew is asked again and answers with a snapshot", () => {
  const board = new TopicBoard();
  board.apply(part("snapshot", 0, 5, [row("A")]));
  assert.equal(board.apply(part("delta", 5, 6, [row("B")], {run: "R2"})), "gap");
  assert.equal(board.apply(part("snapshot", 0, 2, [row("B")], {run: "R2"})), "taken");
  assert.deepEqual(ids(board), ["B"]);
  assert.equal(board.last, 2);
});

test("tries to connect become rarer, never rarer than half a minute, and not all at once", () => {
  assert.equal(backoff_ms(0, () => 1), 500);
  assert.equal(backoff_ms(3, () => 1), 4000);
  assert.equal(backoff_ms(99, () => 1), 30_000);
  assert.equal(backoff_ms(99, () => 0), 15_000);
  assert.deepEqual(countBy([row("A"), row("B", "ready"), row("C")], "status"), {pending: 2, ready: 1});
});

/** A page with a clock, a network and timers that the test moves. */
function page() {
  const at = {now_ms: 1_000_000, sockets: [], timers: [], states: [], tick: null};
  const connect = () => {
    const socket = {readyState: 0, sent: [], send(text) { this.sent.push(JSON.parse(text)); }, close() { this.isShut = true; },
      opens() { this.readyState = 1; this.onopen(); this.says({op: "hello", run: "R1"}); }, says(message) { this.onmessage({data: JSON.stringify(message)}); }, dies(code = 1006) { this.readyState = 3; this.onclose?.({code}); }};
    at.sockets.push(socket);
    return socket;
  };
  at.live = new Live({connect, now: () => at.now_ms, later: (act, ms) => at.timers.push({act, ms}), soon: (act) => act(), every: (act) => { at.tick = act; }, random: () => 1, onState: ({state}) => at.states.push(state)});
  at.socket = () => at.sockets.at(-1);
  at.pass = (ms) => { for (let left = ms; left > 0; left -= 1000) { at.now_ms += 1000; at.tick(); } };
  return at;
}

test("who subscribed before the connection stood is heard when it stands", () => {
  const {live, socket} = page();
  const seen = [];
  live.subscribe("orders", (board) => seen.push([...board.rows.keys()]));
  assert.deepEqual(socket().sent, []);
  socket().opens();
  assert.deepEqual(socket().sent, [{op: "subscribe", topic: "orders"}]);
  socket().says(part("snapshot", 0, 2, [row("A")]));
  assert.deepEqual(seen.at(-1), ["A"]);
});

test("after a cut it comes back by itself and asks from the last number on: nothing lost, nothing doubled", () => {
  const at = page();
  const tally = [];
  at.live.subscribe("orders", (board) => tally.push(board.rows.size));
  at.socket().opens();
  at.socket().says(part("snapshot", 0, 2, [row("A"), row("B")]));
  at.socket().dies();
  assert.equal(at.live.state, "stale");
  assert.equal(at.timers[0].ms, 500);
  at.timers[0].act();
  at.socket().opens();
  assert.deepEqual(at.socket().sent[0], {op: "subscribe", topic: "orders", run: "R1", last: 2});
  at.socket().says(part("delta", 2, 4, [row("B", "ready"), row("C")]));
  assert.equal(at.live.state, "live");
  assert.equal(tally.at(-1), 3);
});

test("a gap on the wire is asked for at once", () => {
  const at = page();
  at.live.subscribe("orders", () => {});
  at.socket().opens();
  at.socket().says(part("snapshot", 0, 2, [row("A")]));
  at.socket().says(part("delta", 3, 4, [row("B")]));
  assert.deepEqual(at.socket().sent.at(-1), {op: "subscribe", topic: "orders", run: "R1", last: 2});
});

test("silence makes it stale, longer silence makes it connect anew", () => {
  const at = page();
  at.socket().opens();
  assert.equal(at.live.state, "live");
  at.pass(16_000);
  assert.equal(at.live.state, "stale");
  assert.ok(at.socket().sent.some((message) => message.op === "heartbeat"));
  at.pass(16_000);
  assert.ok(at.sockets[0].isShut);
  at.timers[0].act();
  assert.equal(at.sockets.length, 2);
});

test("a gateway that lost the broker says so, and the page too", () => {
  const at = page();
  at.socket().opens();
  at.socket().says({op: "heartbeat", at_ms: 1, stale: true, why: "The broker is away."});
  assert.equal(at.live.state, "stale");
  assert.equal(at.live.why, "The broker is away.");
  at.socket().says({op: "heartbeat", at_ms: 2, stale: false, why: ""});
  assert.equal(at.live.state, "live");
});

test("a session that ended is not connected again", () => {
  const at = page();
  at.socket().opens();
  at.socket().dies(4401);
  assert.equal(at.live.state, "signed-out");
  assert.equal(at.timers.length, 0);
});

test("a refused topic is told to who asked", () => {
  const at = page();
  const refusals = [];
  at.live.subscribe("ops", () => {}, {onRefused: (problem) => refusals.push(problem.status)});
  at.socket().opens();
  at.socket().says({op: "refused", topic: "ops", problem: {status: 403}});
  assert.deepEqual(refusals, [403]);
});

test("the last listener ends a subscription, not the first", () => {
  const at = page();
  at.socket().opens();
  const first = at.live.subscribe("orders", () => {});
  const second = at.live.subscribe("orders", () => {});
  first();
  assert.ok(!at.socket().sent.some((message) => message.op === "unsubscribe"));
  second();
  assert.deepEqual(at.socket().sent.at(-1), {op: "unsubscribe", topic: "orders"});
});

test("what is no message is ignored", () => {
  const at = page();
  at.socket().opens();
  at.socket().onmessage({data: "{"});
  at.socket().says({op: "delta", topic: "nobody asked", run: "R1", from: 0, to: 1, rows: []});
  assert.equal(at.live.state, "live");
});
