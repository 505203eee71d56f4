// Orders by state; one order with its items, invoice, robot and time line.

import {fill, h, icon, skeletons, toast} from "../../page/dom.js";
import {ago, clock, grouped, kOrderStates, money, numberTyped, orderNumber, plural, wholeNumber, words} from "../../page/format.js";
import {countBy} from "./board.js";
import {facts, invoiceBox, linesTable, section, stateChip} from "./parts.js";
import {Table, ask, commander, failure, split} from "./table.js";

const kNone = {symbol: "list", title: "No order here", text: "Orders of this kind appear by themselves."};
const kNotFound = {symbol: "search", title: "Nothing found", text: "Type the beginning of an order's number, or a part of the customer's name."};

export function ordersView({api, live, can, go, replace}, id, asked) {
  let state = asked.get("state") ?? "";
  let rows = [];
  let isLoading = true;
  let far = []; // found by the gateway, no more on the board
  const tabs = h("div.tabs", {role: "group", "aria-label": "State"});
  const input = h("input.input", {type: "search", placeholder: "Order number or customer", "aria-label": "Find an order", autocomplete: "off", maxlength: 80, on: {input: () => { show(); look(); }}});
  const table = new Table({label: "Orders", open: (order) => go("orders", order.id),
    empty: kNone,
    columns: [
      {title: "Number", size: "6.6em", class: "mono", text: (order) => orderNumber(order.id)},
      {title: "State", size: "8.2em", draw: (order) => stateChip(order.status), mark: (order) => order.status},
      {title: "Customer", size: "minmax(6em, 1.5fr)", class: "clip", text: (order) => order.customer_name || "–"},
      {title: "Items", size: "4em", wide: true, class: "end num", text: (order) => order.line_count ?? "–"},
      {title: "Total", size: "6em", class: "end num", text: (order) => money(order.total)},
      {title: "Paid", size: "4.2em", wide: true, class: "center", draw: (order) => order.paid ? h("span.yes", {}, icon("check"), h("span.sr", {}, "paid")) : h("span.quiet", {}, "–"), mark: (order) => order.paid},
      {title: "Changed", size: "7em", wide: true, ages: true, class: "end quiet", text: (order) => ago(order.updated_ms, Date.now())},
    ]});
  const panes = split(h("div.list-pane", {}, h("div.bar-row", {}, tabs, h("div.search", {}, icon("search"), input)), table.element));
  panes.back = () => { go("orders"); table.list.focus(table.list.current); };

  const show = () => {
    if (isLoading) return;
    const counts = countBy(rows, "status");
    drawTabs(counts);
    const typed = input.value.trim().toLowerCase();
    const number = numberTyped(typed).toLowerCase();
    const known = new Set(rows.map((row) => row.id));
    const all = typed ? [...rows, ...far.filter((row) => !known.has(row.id))] : rows;
    const hits = all.filter((row) => (!state || row.status === state) && (!typed || row.id.toLowerCase().startsWith(number) || (row.customer_name ?? "").toLowerCase().includes(typed)));
    table.empty = typed ? kNotFound : kNone;
    table.set(hits);
  };
  const drawTabs = (counts) => {
    const text = JSON.stringify([counts, state]);
    if (tabs.mark === text) return;
    tabs.mark = text;
    const had = tabs.contains(document.activeElement) ? document.activeElement.dataset.state : null;
    fill(tabs, [["", {label: "All"}], ...Object.entries(kOrderStates)].map(([status, {label}]) => h("button.tab", {type: "button", "data-state": status, "aria-pressed": String(state === status), on: {click: () => {
      state = status;
      replace(`orders${id ? `/${id}` : ""}${status ? `?state=${status}` : ""}`);
      show();
    }}}, label, h("span.count", {}, grouped(status ? counts[status] ?? 0 : rows.length)))));
    if (had !== null) tabs.querySelector(`[data-state="${had}"]`)?.focus();
  };
  let looking = 0;
  const look = () => {
    clearTimeout(looking);
    const number = numberTyped(input.value);
    if (!/^[\w-]{4,}$/.test(number)) return;
    looking = setTimeout(async () => {
      try { far = (await api.get(`/admin/v1/orders?id=${encodeURIComponent(number)}&limit=50`)).orders; show(); } catch { /* the board's own rows are shown */ }
    }, 300);
  };
  const end = live.subscribe("orders", (board) => {
    isLoading = board.isLoading;
    if (isLoading) return;
    rows = [...board.rows.values()].sort((a, b) => (b.created_ms ?? 0) - (a.created_ms ?? 0));
    show();
  }, {onRefused: (problem) => table.fail(problem)});

  let detail = null;
  const open = (order) => {
    detail?.close();
    detail = null;
    id = order;
    table.choose(order);
    if (!order) return panes.clear();
    detail = orderDetail({api, live, can}, order);
    panes.show(detail.element);
  };
  open(id);
  return {title: "Orders", element: panes.element, close() { end(); detail?.close(); table.close(); clearTimeout(looking); },
    move(to) { open(to); if (to) panes.detail.focus(); }};
}

function orderDetail({api, live, can}, id) {
  const path = `/admin/v1/orders/${encodeURIComponent(id)}`;
  const say = h("div", {role: "alert"});
  const head = h("div");
  const body = h("div", {}, skeletons(5, "3em"));
  const time = h("ol.timeline");
  const command = commander(say);
  let seen = null;
  let asked = 0;
  let isOpen = true;
  const cancel = h("button.button.danger", {type: "button", hidden: true, on: {click: async () => {
    const said = await ask({title: `Cancel order ${orderNumber(id)}?`, text: "The robot brings back what it has; what was paid is refunded.", yes: "Cancel the order", danger: true,
      fields: [{name: "reason", label: "Reason, as the customer reads it", most: 300}], check: ({reason}) => reason ? null : "Please give a reason."});
    if (!said) return;
    const answer = await command(cancel, () => api.send("POST", `${path}/cancellation`, {reason: said.reason}));
    if (answer?.id) { toast("The order is cancelled.", "check"); draw(answer); }
  }}}, "Cancel order");

  const draw = (order) => {
    if (!isOpen) return;
    fill(head, h("div.detail-head", {}, h("div.stretch", {}, h("h2.num", {}, orderNumber(order.id)), h("p.quiet.mono.wrap", {}, wholeNumber(order.id))), stateChip(order.status)));
    cancel.hidden = !can("orders.cancel") || ["completed", "rejected", "cancelled"].includes(order.status);
    const list = order.list;
    fill(body, order.reason && h("div.notice.bad", {}, icon("info"), h("p", {}, h("strong", {}, "Reason"), order.reason)),
      facts([["Customer", order.customer_name || order.customer_id || "–"], ["Total", money(order.total)], ["Paid", order.paid ? "yes" : "not yet"], ["Created", clock(order.created_ms, Date.now())],
        list && ["List", `${list.status}${list.phase ? `, ${list.phase.replace("-", " ")}` : ""}`], list?.bot_id && ["Robot", list.bot_id]]),
      section(plural(order.lines.length, "line"), linesTable(order.lines)), section("Invoice", invoiceBox(order.invoice)),
      list && section("Stops", h("ul.stops", {}, list.stops.map((stop) => h("li", {class: stop.state}, h("span.dot", {}, stop.state === "done" ? icon("check") : null), h("span.stretch.clip", {}, stop.store_name),
        h("span.quiet", {}, `${stop.items.reduce((sum, item) => sum + item.picked, 0)} of ${stop.items.reduce((sum, item) => sum + item.quantity, 0)} picked`))))));
  };
  const drawTime = (moments) => fill(time, moments.length ? moments.map((moment) => h("li", {}, h("time.num", {datetime: new Date(moment.at_ms).toISOString()}, clock(moment.at_ms, Date.now())),
    h("div", {}, h("strong", {}, words(moment.what)), moment.detail && h("p.quiet.wrap", {}, moment.detail)))) : h("li.quiet", {}, "Nothing yet."));
  const load = async () => {
    const mine = ++asked; // an answer that a later one has overtaken is of the past
    try {
      const [order, story] = await Promise.all([api.get(path, {tries: 3}), api.get(`${path}/timeline`, {tries: 3})]);
      if (mine !== asked) return;
      draw(order);
      drawTime(story.moments);
    } catch (problem) { if (isOpen && mine === asked) fill(body, failure(problem, load)); }
  };
  const end = live.subscribe(`order:${id}`, (board) => {
    const row = board.rows.get(id);
    if (!row) return;
    const mark = `${row.updated_ms}|${row.status}|${row.paid}|${row.moments?.length}`;
    if (seen !== null && seen !== mark) load();
    seen = mark;
  });
  load();
  return {element: h("div.detail-body", {}, head, say, h("div.actions", {}, cancel), body, section("Time line", time)), close() { isOpen = false; end(); }};
}
