// The pickup desk: find the order, take payment, hand over.

import {blank, fill, h, icon, skeletons, toast} from "../../page/dom.js";
import {money, numberTyped, orderNumber, plural, wholeNumber} from "../../page/format.js";
import {facts, invoiceBox, linesTable, section, stateChip} from "./parts.js";
import {Table, commander, failure, split} from "./table.js";

/** What was typed: an order number, or a phone number. null: neither. */
export function wanted(text) {
  const plain = text.trim();
  if (/^(\+|00|0)[\d\s()-]{6,}$/.test(plain)) return {phone: plain.replace(/[\s()-]/g, "").replace(/^00/, "+")};
  const number = numberTyped(plain);
  return /^[\w-]{1,64}$/.test(number) ? {number} : null;
}

export function pickupView({api, live, can, go}, id) {
  const input = h("input.input", {id: "find", autocomplete: "off", maxlength: 64, "aria-describedby": "find-hint"});
  const wrong = h("p.wrong", {role: "alert", hidden: true});
  const button = h("button.button.strong", {type: "submit"}, icon("search"), "Find");
  const title = h("h2.list-title", {}, "Ready to collect");
  let ready = [];
  let found = null;
  const table = new Table({label: "Orders at the desk", rowHeight: 56, open: (order) => go("pickup", order.id),
    empty: {symbol: "box", title: "Nothing to hand over", text: "Orders that are ready appear here by themselves."},
    columns: [
      {title: "Number", size: "6.4em", class: "mono", text: (order) => orderNumber(order.id)},
      {title: "Customer", size: "minmax(5em, 1fr)", class: "clip", text: (order) => order.customer_name || "–"},
      {title: "State", size: "7.4em", wide: true, draw: (order) => stateChip(order.status), mark: (order) => order.status},
      {title: "Total", size: "5.4em", class: "end num", text: (order) => money(order.total)},
      {title: "Paid", size: "3.4em", class: "center", draw: (order) => order.paid ? h("span.yes", {}, icon("check"), h("span.sr", {}, "paid")) : h("span.quiet", {}, "–"), mark: (order) => order.paid},
    ]});
  const again = h("button.button.plain", {type: "button", hidden: true, on: {click: () => { found = null; input.value = ""; show(); input.focus(); }}}, icon("close"), "All that are ready");
  const show = () => {
    again.hidden = !found;
    title.textContent = found ? `${plural(found.length, "order")} found` : "Ready to collect";
    if (found && !found.length) fill(table.element, blank({symbol: "search", title: "No such order", text: "Check the number. By phone: the whole number with its country's code."}));
    else table.set(found ?? ready);
  };
  const form = h("form.find", {novalidate: true, role: "search", on: {submit: async (event) => {
    event.preventDefault();
    const body = wanted(input.value);
    wrong.hidden = Boolean(body);
    wrong.textContent = body ? "" : "Enter an order number or a phone number.";
    if (!body) return input.focus();
    button.disabled = true;
    try {
      found = (await api.ask("POST", "/admin/v1/pickup/search", body, {tries: 3})).orders;
      show();
      if (found.length === 1) go("pickup", found[0].id);
    } catch (problem) { wrong.hidden = false; wrong.textContent = problem.detail; }
    button.disabled = false;
  }}}, h("div.field.stretch", {}, h("label", {for: "find"}, "Order number or phone"), h("div.find-row", {}, input, button), h("p.hint.sr", {id: "find-hint"}, "The beginning of an order number is enough"), wrong));
  const panes = split(h("div.list-pane", {}, form, h("div.bar-row", {}, title, h("div.stretch"), again), table.element));
  panes.back = () => { go("pickup"); input.focus(); };
  let desk = null;
  const end = live.subscribe("orders", (board) => {
    if (board.isLoading) return;
    ready = [...board.rows.values()].filter((order) => order.status === "ready").sort((a, b) => a.updated_ms - b.updated_ms);
    if (found) found = found.map((order) => board.rows.get(order.id) ?? order);
    show();
    desk?.heard(board.rows.get(id));
  }, {onRefused: (problem) => table.fail(problem)});
  const open = (order) => {
    desk?.close();
    desk = null;
    id = order;
    table.choose(order);
    if (!order) return panes.clear();
    desk = deskOf({api, can}, order);
    panes.show(desk.element);
  };
  open(id);
  return {title: "Pickup desk", element: panes.element, focus: id ? null : input, close() { end(); desk?.close(); table.close(); }, move(to) { open(to); if (to) panes.detail.focus(); }};
}

function deskOf({api, can}, id) {
  const path = `/admin/v1/pickup/orders/${encodeURIComponent(id)}`;
  const say = h("div", {role: "alert"});
  const body = h("div", {}, skeletons(5, "3em"));
  const command = commander(say);
  let seen = null;
  let asked = 0;
  let isOpen = true;

  const draw = (pickup) => {
    if (!isOpen) return;
    const {order, customer} = pickup;
    const pay = (by, label, symbol) => {
      const button = h("button.button", {type: "button", class: by === "card" ? "strong" : "", disabled: !pickup.can_pay, on: {click: async () => {
        const answer = await command(button, () => api.send("POST", `${path}/payment`, {by}));
        if (answer?.order) { draw(answer); toast(`Paid by ${by}.`, "check"); } else load();
      }}}, icon(symbol), label);
      return button;
    };
    const release = h("button.button.primary", {type: "button", disabled: !pickup.can_release, on: {click: async () => {
      const answer = await command(release, () => api.send("POST", `${path}/release`));
      if (answer?.order) { draw(answer); toast("Handed over.", "check"); } else load();
    }}}, icon("box"), "Hand over");
    const isOver = order.status === "completed";
    const had = body.contains(document.activeElement) ? document.activeElement.textContent : null;
    fill(body, h("div.detail-head", {}, h("div.stretch", {}, h("h2.num", {}, orderNumber(order.id)), h("p.quiet.mono.wrap", {}, wholeNumber(order.id))), stateChip(order.status)),
      facts([["Customer", customer?.name ?? order.customer_name ?? "–"], ["Phone", customer?.sms_number ?? "not known at present"], ["Paid", order.paid ? "yes" : "not yet"]]),
      section("Invoice", invoiceBox(order.invoice)),
      can("pickup.settle") && !isOver && h("div.actions", {}, pay("card", "Take card", "card"), pay("cash", "Take cash", "cash"), release),
      isOver && h("div.notice.good", {}, icon("check"), h("p", {}, h("strong", {}, "Handed over"), "This order is complete.")),
      !isOver && pickup.why_not && h("div.notice", {}, icon("info"), h("p", {}, pickup.why_not)), say,
      section(`${plural(order.lines.reduce((sum, line) => sum + line.quantity, 0), "item")} in the bag`, linesTable(order.lines)));
    if (had) [...body.querySelectorAll("button")].find((button) => button.textContent === had && !button.disabled)?.focus() ?? release.focus();
    if (had && !body.contains(document.activeElement)) body.closest(".detail")?.focus();
  };
  const load = async () => {
    const mine = ++asked; // an answer that a later one has overtaken is of the past
    try {
      const pickup = await api.get(path, {tries: 3});
      if (mine === asked) draw(pickup);
    } catch (problem) { if (isOpen && mine === asked) fill(body, failure(problem, load)); }
  };
  load();
  return {element: h("div.detail-body", {}, body), close() { isOpen = false; },
    heard(row) {
      if (!row) return;
      const mark = `${row.status}|${row.paid}|${row.invoice_state}|${row.total?.minor}`;
      if (seen !== null && seen !== mark) load();
      seen = mark;
    }};
}
