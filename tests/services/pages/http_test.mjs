import assert from "node:assert/strict";
import {webcrypto} from "node:crypto";
import test from "node:test";
import {Api, Problem, pages} from "../../../services/gateways/page/http.js";

globalThis.crypto ??= webcrypto; // browsers have it; node before 19 has not

/** A gateway that answers what is queued, and remembers what was asked. */
function gateway(...answers) {
  const asked = [];
  const fetch = async (path, options) => {
    asked.push({path, ...options});
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    const {status = 200, body, retry} = answer;
    return {ok: status < 300, status, statusText: "", headers: new Map(retry ? [["Retry-After", retry]] : []), text: async () => body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body)};
  };
  const waits = [];
  return {asked, waits, api: new Api({fetch, wait: async (ms) => waits.push(ms)})};
}

test("a command keeps its idempotency key through all tries", async () => {
  const {api, asked, waits} = gateway({status: 503, retry: "1", body: {}}, new TypeError("network"), {body: {ok: 1}});
  assert.deepEqual(await api.send("POST", "/x", {a: 1}), {ok: 1});
  assert.equal(asked.length, 3);
  assert.match(asked[0].headers["Idempotency-Key"], /^[0-9a-f]{32}$/);
  assert.equal(new Set(asked.map((one) => one.headers["Idempotency-Key"])).size, 1);
  assert.ok(waits[0] >= 1000);
});

test("two commands have two keys", async () => {
  const {api, asked} = gateway({body: {}}, {body: {}});
  await api.send("POST", "/x");
  await api.send("POST", "/x");
  assert.notEqual(asked[0].headers["Idempotency-Key"], asked[1].headers["Idempotency-Key"]);
});

test("a refusal is told at once, with the gateway's words", async () => {
  const {api, asked} = gateway({status: 409, body: {type: "urn:mallbots:problem:done-already", title: "Done", status: 409, detail: "Ben was first", remedy: "Look again"}});
  await assert.rejects(api.send("POST", "/x"), (problem) => problem instanceof Problem && problem.type === "done-already" && problem.detail === "Ben was first" && problem.status === 409);
  assert.equal(asked.length, 1);
});

test("an answer that is no JSON is a refusal by its status", async () => {
  const {api} = gateway({status: 502, body: "<html>bad gateway</html>"});
  await assert.rejects(api.get("/x"), (problem) => problem.status === 502 && problem.type === "");
});

test("who never gets an answer is told so, after the last try", async () => {
  const {api, asked} = gateway(...Array.from({length: 4}, () => new TypeError("network")));
  await assert.rejects(api.send("POST", "/x"), (problem) => problem.status === 0 && problem.isAway);
  assert.equal(asked.length, 4);
});

test("an answer that breaks off is no answer: the same again, with the same key", async () => {
  const keys = new Set();
  let tries = 0;
  const fetch = async (path, {headers}) => {
    keys.add(headers["Idempotency-Key"]);
    return {ok: true, status: 200, statusText: "", headers: new Map(), text: async () => { if (++tries === 1) throw new TypeError("cut"); return "{}"; }};
  };
  assert.deepEqual(await new Api({fetch, wait: async () => {}}).send("POST", "/x"), {});
  assert.equal(tries, 2);
  assert.equal(keys.size, 1);
});

test("pages follow the cursor to the end, and stop at the bound", async () => {
  const {api, asked} = gateway({body: {rows: [1, 2], next: "a b"}}, {body: {rows: [3], next: null}});
  const told = [];
  assert.deepEqual(await pages(api, "/rows?status=left", "rows", {limit: 2}, (rows, done) => told.push([rows.length, done])), [1, 2, 3]);
  assert.deepEqual(told, [[2, false], [3, true]]);
  assert.equal(asked[1].path, "/rows?status=left&limit=2&cursor=a%20b");
  const endless = gateway(...Array.from({length: 9}, () => ({body: {rows: [1, 2], next: "more"}})));
  assert.equal((await pages(endless.api, "/rows", "rows", {limit: 2, at_most: 6})).length, 6);
});
