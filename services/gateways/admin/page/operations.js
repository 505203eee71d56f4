// Broker and services: topics, lag, dead letters, outboxes, sagas that are stuck, plots.

import {blank, fill, h, icon, skeletons, toast} from "../../page/dom.js";
import {ago, bytes, clock, compact, duration, grouped, orderNumber, plural} from "../../page/format.js";
import {pages} from "../../page/http.js";
import {plot} from "./plot.js";
import {Table, ask, commander, failure} from "./table.js";

const kPlots = [
  {title: "Orders", unit: "per second", lines: [["orders_created", "created"], ["orders_completed", "completed"], ["orders_closed_otherwise", "cancelled"]]},
  {title: "Submitted to approved", unit: "seconds", lines: [["approve_p50", "p50"], ["approve_p99", "p99"]]},
  {title: "Approved to ready", unit: "seconds", lines: [["fetch_p50", "p50"], ["fetch_p99", "p99"]]},
  {title: "Events", unit: "per second", lines: [["events", "events"]]},
  {title: "Lag, all groups", unit: "records", lines: [["lag", "lag"]]},
  {title: "Robots active", unit: "robots", lines: [["bots_active", "active"]]},
];

/** A sample taken in: each series moves on by one value once its step is over. */
export function withSample(series, sample) {
  if (!series || !sample) return series;
  const end_ms = series.first_ms + series.step_ms * (series.series[0]?.values.length ?? 0);
  if (sample.at_ms < end_ms) return series;
  const steps = Math.min(180, Math.floor((sample.at_ms - end_ms) / series.step_ms) + 1);
  return {...series, first_ms: series.first_ms + steps * series.step_ms, series: series.series.map((row) => ({...row,
    values: [...row.values.slice(steps), ...Array(steps - 1).fill(null), sample.values[row.name] ?? null]}))};
}

export function operationsView({api, live, can, go}, box) {
  const tiles = h("dl.status-tiles", {});
  const plots = h("div.plots", {}, skeletons(3, "10em"));
  const letters = h("div", {}, skeletons(2, "3em"));
  const sagas = h("div", {});
  const outboxes = h("div", {});
  const say = h("div", {role: "alert"});
  const command = commander(say);
  let series = null;
  let open = null;
  let isOpen = true;

  const topics = new Table({label: "Topics", rowHeight: 38, empty: {symbol: "pulse", title: "No topics"}, columns: [
    {title: "Topic", size: "minmax(10em, 3fr)", class: "mono clip", text: (row) => row.name}, {title: "Partitions", size: "5.4em", class: "end num", text: (row) => row.partitions},
    {title: "Records", size: "7em", class: "end num", text: (row) => grouped(row.records)}, {title: "Per second", size: "6em", class: "end num", text: (row) => compact(row.records_per_s ?? 0)},
    {title: "Disk", size: "5.6em", class: "end num", text: (row) => bytes(row.disk_bytes)}, {title: "Memory", size: "5.6em", class: "end num", text: (row) => bytes(row.memory_bytes)}]});
  const groups = new Table({label: "Groups and their lag", rowHeight: 38, empty: {symbol: "pulse", title: "No groups"}, rowClass: (row) => (row.lag_time_ms > 10_000 || (row.lag > 0 && row.members === 0) ? "worry" : ""), columns: [
    {title: "Group", size: "minmax(8em, 2fr)", class: "mono clip", text: (row) => row.group}, {title: "Kind", size: "5em", class: "quiet", text: (row) => (row.is_queue ? "queue" : "log")},
    {title: "Members", size: "5.4em", class: "end num", text: (row) => row.members}, {title: "Lag, records", size: "7em", class: "end num", text: (row) => grouped(row.lag)},
    {title: "Lag, time", size: "8em", class: "end num", text: (row) => (row.lag ? duration(row.lag_time_ms) : "–")}]});

  const drawPlots = () => {
    if (!series) return;
    const of = new Map(series.series.map((row) => [row.name, row]));
    fill(plots, kPlots.map(({title, unit, lines}) => plot({title, unit, first_ms: series.first_ms, step_ms: series.step_ms,
      lines: lines.filter(([name]) => of.has(name)).map(([name, label]) => ({name: label, values: of.get(name).values}))})));
  };
  const once = (element, mark, draw) => { const text = JSON.stringify(mark); if (element.mark === text) return; element.mark = text; draw(); };
  const drawStatus = (row) => once(tiles, row, () => {
    const tile = (name, value, more) => h("div", {}, h("dt", {}, name), h("dd", {}, h("strong.num", {}, value), more && h("span.quiet", {}, more)));
    fill(tiles, tile("Up", duration(row.uptime_ms), `version ${row.version}`), tile("Memory", bytes(row.memory_bytes), `of ${bytes(row.memory_max_bytes)}`), tile("Disk", bytes(row.disk_bytes), `${bytes(row.disk_free_bytes)} free`),
      tile("Programs", grouped(row.sessions), `${row.topics} topics, ${row.groups} groups`), tile("Viewers", grouped(row.viewers), row.behind ? `board ${grouped(row.behind)} behind` : "board up to date"));
  });
  const drawBoxes = (rows) => once(letters, [rows, open?.group, open?.topic], () => {
    const had = letters.contains(document.activeElement) ? document.activeElement.dataset.box : null;
    const left = rows.filter((row) => row.left > 0);
    if (!open) fill(letters, left.length ? h("ul.boxes", {}, left.map((row) => h("li", {}, icon("alert"), h("div.stretch", {}, h("strong", {}, plural(row.left, "dead letter")), h("p.quiet.mono.wrap", {}, `${row.group} ← ${row.topic}`)),
      h("button.button", {type: "button", "data-box": `${row.group}/${row.topic}`, on: {click: () => go("operations", `${row.group}/${row.topic}`)}}, "Look inside")))) : blank({symbol: "check", title: "No dead letters", text: "Every message found its way."}));
    if (had) [...letters.querySelectorAll("[data-box]")].find((element) => element.dataset.box === had)?.focus();
  });
  const drawSagas = (rows) => once(sagas, rows, () => fill(sagas, rows.length ? h("ul.boxes", {}, rows.map((row) => {
    const order = row.id.replace(/^saga:/, "");
    const button = h("button.button", {type: "button", on: {click: async () => {
      const answer = await command(button, () => api.send("POST", `/admin/v1/operations/sagas/${encodeURIComponent(order)}/resume`));
      if (answer === null) toast("The step is tried again.", "check");
    }}}, icon("undo"), "Try again");
    return h("li", {}, icon("clock"), h("div.stretch", {}, h("strong", {}, `Order ${orderNumber(order)}: ${row.step}`), h("p.quiet.wrap", {}, `${row.reason}, ${ago(row.updated_ms, Date.now())}`)), can("operations.change") && button);
  })) : h("p.quiet.fine", {}, icon("check"), "No saga is stuck.")));
  const drawOutboxes = (rows) => once(outboxes, rows, () => fill(outboxes, rows.length ? h("ul.outboxes", {}, rows.map((row) => h("li", {class: row.waiting ? "some" : ""}, h("span.mono.stretch", {}, row.service),
    h("strong.num", {}, row.waiting ? `${grouped(row.waiting)} waiting` : "empty"), row.waiting > 0 && h("span.quiet", {}, `oldest ${duration(row.oldest_ms)}`),
    row.is_current === false && h("span.quiet", {}, "does not answer: as it told last")))) : h("p.quiet", {}, "No service has told of an outbox.")));

  const end = live.subscribe("ops", (board) => {
    if (board.isLoading) return;
    const of = (kind) => [...board.rows.values()].filter((row) => row.kind === kind);
    if (board.rows.has("status")) drawStatus(board.rows.get("status"));
    topics.set(of("topic").sort((a, b) => a.name.localeCompare(b.name)));
    groups.set(of("group").sort((a, b) => b.lag - a.lag || a.group.localeCompare(b.group)));
    drawBoxes(of("letters"));
    open?.heard(board.rows);
    drawSagas(of("saga"));
    drawOutboxes(of("outbox"));
    const grown = withSample(series, board.rows.get("sample"));
    if (grown !== series) { series = grown; drawPlots(); }
  }, {onRefused: (problem) => { topics.fail(problem); groups.fail(problem); }});
  const load = async () => {
    try { series = await api.get("/admin/v1/operations/metrics", {tries: 3}); if (isOpen) drawPlots(); } catch (problem) { if (isOpen) fill(plots, failure(problem, load)); }
  };
  const openBox = (name) => {
    open?.close();
    open = null;
    letters.mark = null;
    const at = name?.indexOf("/") ?? -1;
    if (at > 0) {
      open = letterBox({api, can, back: () => go("operations")}, name.slice(0, at), name.slice(at + 1));
      fill(letters, open.element);
    } else {
      const board = live.topics.get("ops")?.board;
      if (board && !board.isLoading) drawBoxes([...board.rows.values()].filter((row) => row.kind === "letters"));
    }
  };
  load();
  openBox(box);
  const block = (title, ...content) => h("section.panel", {}, h("h2", {}, title), ...content);
  return {title: "Operations",
    element: h("div.operations", {}, tiles, say, plots, block("Dead letters", letters), h("div.pair", {}, block("Stuck sagas", sagas), block("Outboxes", outboxes)), block("Lag", h("div.short", {}, groups.element)), block("Topics", h("div.short", {}, topics.element))),
    close() { isOpen = false; end(); open?.close(); topics.close(); groups.close(); },
    move(to) { openBox(to); (open?.element.querySelector("h3") ?? letters.querySelector("button"))?.focus(); }};
}

const named = (letter) => letter.name || "nameless message";

function letterBox({api, can, back}, group, topic) {
  const path = `/admin/v1/operations/dead-letters/${encodeURIComponent(group)}/${encodeURIComponent(topic)}`;
  const say = h("div", {role: "alert"});
  const command = commander(say);
  const stop = new AbortController();
  let rows = [];
  let seen = null;
  const one = async (button, what, choice, text) => {
    const answer = await command(button, () => api.send("POST", `${path}/${what}`, choice));
    if (answer && Number.isFinite(answer.done)) { toast(`${plural(answer.done, "letter")} ${text}.`, "check"); load(); }
  };
  const purge = async (button, choice, title) => {
    if (await ask({title, text: "Purged letters are never handled. This cannot be undone.", yes: "Purge", danger: true})) await one(button, "purge", choice, "purged");
  };
  const table = new Table({label: `Dead letters of ${group}`, rowHeight: 74, empty: {symbol: "check", title: "Nothing left here", text: "All letters were retried or purged."}, columns: [
    {title: "Message", size: "minmax(8em, 1.2fr)", draw: (row) => h("div.two", {}, h("strong.clip", {}, named(row)), h("span.quiet.mono.clip", {}, row.key || "no key")), mark: (row) => row.id},
    {title: "Reason", size: "minmax(10em, 2fr)", draw: (row) => h("div.two", {}, h("span.clamp", {title: row.error || row.reason}, row.error || row.reason), h("span.quiet.clip", {}, `${row.handler || row.reason}, ${plural(Number(row.attempts) || 0, "try", "tries")}`)), mark: (row) => row.id},
    {title: "Died", size: "6.4em", class: "end num quiet", text: (row) => clock(row.died_ms, Date.now())},
    {title: "", size: can("operations.change") ? "11em" : "0", class: "end", draw: (row) => can("operations.change") && h("div.row-buttons", {},
      h("button.button.small", {type: "button", "aria-label": `Retry ${named(row)} ${row.key}`.trim(), on: {click: (event) => one(event.currentTarget, "replay", {ids: [row.id]}, "retried")}}, icon("undo"), "Retry"),
      h("button.button.small", {type: "button", "aria-label": `Purge ${named(row)} ${row.key}`.trim(), on: {click: (event) => purge(event.currentTarget, {ids: [row.id]}, "Purge this letter?")}}, icon("trash"))), mark: (row) => row.id},
  ]});
  const load = async () => {
    try { await pages(api, `${path}?state=left`, "letters", {signal: stop.signal}, (all) => { rows = [...all]; table.set(rows); }); } catch (problem) { if (!stop.signal.aborted) table.fail(problem, load); }
  };
  load();
  const all = h("button.button", {type: "button", on: {click: () => one(all, "replay", {all: true}, "retried")}}, icon("undo"), "Retry all");
  const none = h("button.button.danger", {type: "button", on: {click: () => purge(none, {all: true}, "Purge all letters?")}}, "Purge all");
  return {element: h("div.letter-box", {}, h("div.bar-row", {}, h("button.button.plain", {type: "button", on: {click: back}}, icon("back"), "All boxes"), h("h3.stretch.mono.clip", {tabindex: -1}, `${group} ← ${topic}`), can("operations.change") && [all, none]), say,
    h("div.short", {}, table.element)),
    heard(rows) { // a letter that is retried may come back
      const row = rows.get(`letters:${group}:${topic}`);
      const mark = row ? `${row.left}|${row.done}` : "";
      if (seen !== null && seen !== mark) load();
      seen = mark;
    },
    close() { stop.abort(); table.close(); }};
}
