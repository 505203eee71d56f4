// Check-in at the depot: robots that are back, what they bring, count it, accept or correct.

import {blank, fill, h, icon, skeletons, toast} from "../../page/dom.js";
import {ago, orderNumber, plural, words} from "../../page/format.js";
import {section} from "./parts.js";
import {Table, commander, failure, split} from "./table.js";

/** The rows to count of a list: each product with what was wanted and picked, its stores joined. */
export function countRows(list) {
  const rows = new Map();
  for (const stop of list.stops) {
    for (const item of stop.items) {
      const row = rows.get(item.product_id) ?? {product_id: item.product_id, product_name: item.product_name, store_name: stop.store_name, wanted: 0, picked: 0};
      row.wanted += item.quantity;
      row.picked += item.picked;
      rows.set(item.product_id, row);
    }
  }
  return [...rows.values()];
}

/** What was typed -> a count, or null: not a whole number between none and what was wanted. */
export function countOf(text, wanted) {
  if (!/^\s*\d{1,6}\s*$/.test(text)) return null;
  const count = Number(text);
  return count <= wanted ? count : null;
}

export function depotView({api, live, can, go}, id) {
  const table = new Table({label: "Robots that wait at the depot", rowHeight: 56, open: (list) => go("depot", list.id),
    empty: {symbol: "box", title: "Nobody waits", text: "As soon as a robot is back with its items, it appears here."},
    columns: [
      {title: "Order", size: "6.4em", class: "mono", text: (list) => orderNumber(list.order_id)},
      {title: "Robot", size: "minmax(5em, 1fr)", class: "clip", text: (list) => list.bot_id || "–"},
      {title: "Picked", size: "5em", class: "end num", text: (list) => list.picked},
      {title: "Missing", size: "5em", class: "end", draw: (list) => list.unavailable ? h("span.chip.amber", {}, String(list.unavailable)) : h("span.quiet", {}, "–"), mark: (list) => list.unavailable},
      {title: "Waits", size: "6em", ages: true, class: "end quiet", text: (list) => ago(list.updated_ms, Date.now())},
    ]});
  const under = h("p.quiet.under", {});
  const panes = split(h("div.list-pane", {}, table.element, under));
  panes.back = () => { go("depot"); table.list.focus(table.list.current); };
  let check = null;
  let waiting = new Map();
  let heard = false;

  const end = live.subscribe("lists", (board) => {
    if (board.isLoading) return;
    heard = true;
    const all = [...board.rows.values()];
    const rows = all.filter((list) => list.status === "active" && list.phase === "at-depot").sort((a, b) => a.updated_ms - b.updated_ms);
    waiting = new Map(rows.map((list) => [list.id, list]));
    table.set(rows);
    const away = all.filter((list) => list.status === "active" && list.phase !== "at-depot").length;
    under.textContent = `${plural(away, "robot is", "robots are")} under way, ${plural(all.filter((list) => ["available", "assigned"].includes(list.status)).length, "list waits", "lists wait")} for a robot.`;
    if (check && !waiting.has(check.id)) check.gone();
  }, {onRefused: (problem) => table.fail(problem)});

  const open = (list) => {
    check?.close();
    check = null;
    id = list;
    table.choose(list);
    if (!list) return panes.clear();
    check = checkIn({api, can, go, isWaiting: () => !heard || waiting.has(list)}, list);
    panes.show(check.element);
  };
  open(id);
  return {title: "Depot check-in", element: panes.element, close() { end(); check?.close(); table.close(); }, move(to) { open(to); if (to) check.focus(); }};
}

function checkIn({api, can, go, isWaiting}, id) {
  const path = `/admin/v1/depot/lists/${encodeURIComponent(id)}`;
  const body = h("div", {}, skeletons(4, "3.4em"));
  const say = h("div", {role: "alert"});
  const command = commander(say);
  let isOpen = true;
  let isDone = false;
  const inputs = [];

  const finish = (list, text) => {
    isDone = true;
    toast(text, "check");
    fill(body, blank({symbol: "check", title: "Checked in", text: `${text} The order is ready, or cancelled if nothing was there.`,
      action: can("pickup.see") && h("button.button", {type: "button", on: {click: () => go("pickup", list.order_id)}}, "To the pickup desk")}));
  };
  const save = async (button, list, counted, text) => {
    const answer = await command(button, () => api.send("POST", `${path}/inventory`, {counted: counted.filter((row) => row.quantity > 0)}));
    if (answer?.stops) finish(answer, text);
  };
  const draw = (list) => {
    const rows = countRows(list);
    const isBack = list.phase === "at-depot";
    inputs.length = 0;
    const accept = h("button.button.primary", {type: "button", disabled: !isBack, on: {click: () => save(accept, list, rows.map((row) => ({product_id: row.product_id, quantity: row.picked})), "Accepted as the robot reported it.")}}, icon("check"), "Accept as reported");
    const correct = h("button.button", {type: "submit", disabled: !isBack}, "Save the counts");
    const status = h("p.quiet", {"aria-live": "polite"});
    const compare = () => {
      const off = inputs.filter(({input, row}) => countOf(input.value, row.wanted) !== row.picked).length;
      inputs.forEach(({input, row, line}) => {
        const count = countOf(input.value, row.wanted);
        input.setAttribute("aria-invalid", String(count === null));
        line.classList.toggle("off", count !== row.picked);
      });
      accept.disabled = !isBack || off > 0;
      correct.classList.toggle("strong", off > 0);
      status.textContent = off ? `${plural(off, "count differs", "counts differ")} from what the robot reported: save the counts.` : "All counts are as the robot reported.";
    };
    const form = h("form", {novalidate: true, on: {submit: (event) => {
      event.preventDefault();
      const wrong = inputs.find(({input, row}) => countOf(input.value, row.wanted) === null);
      if (wrong) {
        fill(say, h("div.notice.bad", {}, icon("alert"), h("p", {}, `${wrong.row.product_name}: a whole number from 0 to ${wrong.row.wanted}.`)));
        return wrong.input.focus();
      }
      save(correct, list, inputs.map(({input, row}) => ({product_id: row.product_id, quantity: countOf(input.value, row.wanted)})), "Your counts are saved.");
    }}},
      h("ul.counts", {}, rows.map((row, index) => {
        const input = h("input.input.num", {id: `count-${index}`, inputmode: "numeric", value: String(row.picked), maxlength: 6, "aria-label": `Count of ${row.product_name}`, on: {input: compare, focus: (event) => event.target.select()}});
        const change = (by) => { input.value = String(Math.max(0, Math.min(row.wanted, (countOf(input.value, row.wanted) ?? row.picked) + by))); compare(); };
        const line = h("li", {}, h("div.stretch", {}, h("strong.wrap", {}, row.product_name), h("p.quiet.clip", {}, row.store_name)),
          h("span.quiet.num.count-said", {}, `${row.picked} of ${row.wanted}`),
          h("button.button.small", {type: "button", "aria-label": `One ${row.product_name} less`, on: {click: () => change(-1)}}, icon("minus")), input,
          h("button.button.small", {type: "button", "aria-label": `One ${row.product_name} more`, on: {click: () => change(1)}}, icon("plus")));
        inputs.push({input, row, line});
        return line;
      })), status, say, can("depot.count") && h("div.actions", {}, accept, correct));
    fill(body, h("div.detail-head", {}, h("div.stretch", {}, h("h2.num", {}, orderNumber(list.order_id)), h("p.quiet", {}, list.bot_id ? `Brought by ${list.bot_id}` : "")),
      h("span.chip", {class: isBack ? "amber" : ""}, isBack ? "Waits for you" : words(list.status))), section(plural(rows.length, "product"), form));
    compare();
  };
  const load = async () => {
    try { const list = await api.get(path, {tries: 3}); if (isOpen) draw(list); } catch (problem) { if (isOpen) fill(body, failure(problem, load)); }
  };
  load();
  return {id, element: h("div.detail-body", {}, body), close() { isOpen = false; },
    focus() { body.closest(".detail")?.focus(); },
    gone() {
      if (isDone || isWaiting()) return;
      isDone = true;
      body.querySelectorAll("button, input").forEach((control) => { control.disabled = true; });
      fill(say, h("div.notice.warn", {}, icon("users"), h("p", {}, h("strong", {}, "This list does not wait any more"), "Somebody else has checked it in, or the order was cancelled.")));
    }};
}
