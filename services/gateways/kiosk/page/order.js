// An order: its number, how far it is, what can still be done. Keeps itself up to date.

import {fill, h, icon} from "../../page/dom.js";
import {clock, money, numberTyped, orderNumber, plural, wholeNumber} from "../../page/format.js";
import {keypad} from "./keypad.js";
import {cardReader} from "./parts.js";

const kRefresh_ms = 2000;
const kStale_ms = 12_000;

/** How far an order is: the steps with what each is. */
export function progressOf(order) {
  const steps = [
    {id: "pending", symbol: "list", title: "Received", text: "We check your order."},
    {id: "approved", symbol: "clock", title: "Accepted", text: "Waiting for the next free robot."},
    {id: "in-progress", symbol: "robot", title: "Robot on its way", text: "It collects your items store by store."},
    {id: "ready", symbol: "box", title: "Ready for pickup", text: "Come to the pickup desk and say your number."},
    {id: "completed", symbol: "check", title: "Handed over", text: "Enjoy!"},
  ];
  const at = steps.findIndex((step) => step.id === order.status);
  return steps.map((step, index) => ({...step, state: index < at || order.status === "completed" ? "done" : index === at ? "now" : "later"}));
}

export function queueWords(queue) {
  if (!queue) return null;
  if (queue.ahead === 0) return "You are next.";
  return `${queue.more ? "More than " : ""}${plural(queue.ahead, "order")} before yours.`;
}

const isClosed = (order) => ["completed", "rejected", "cancelled"].includes(order.status);

function headOf(order, fresh) {
  if (order.status === "rejected") return {tone: "bad", symbol: "alert", title: "We could not accept this order", text: "Nothing was charged."};
  if (order.status === "cancelled") return {tone: "bad", symbol: "close", title: "This order was cancelled", text: "What was held on your card is given back."};
  if (order.status === "completed") return {tone: "good", symbol: "check", title: "Handed over. Enjoy!", text: "Thank you for shopping with us."};
  if (order.status === "ready") return {tone: "good", symbol: "box", title: "Ready at the pickup desk", text: order.paid ? "It is paid: just say your number." : "Pay here or at the desk."};
  return {tone: "", symbol: "robot", title: fresh ? "Thank you! Your robot is called." : "Your order", text: "Keep this number: you say it at the pickup desk."};
}

function progress(order) {
  return progressOf(order).map((step) => h("li", {class: step.state, "aria-current": step.state === "now" ? "step" : null},
    h("span.dot", {}, icon(step.state === "done" ? "check" : step.symbol)),
    h("div", {}, h("strong", {}, step.title), step.state === "now" && h("p.quiet", {}, step.text),
      step.state === "now" && queueWords(order.queue) && h("p.queue", {}, queueWords(order.queue)))));
}

function items(order) {
  return [h("h2", {}, plural(order.items.reduce((sum, item) => sum + item.quantity, 0), "item")),
    h("ul", {tabindex: 0, "aria-label": "Items of your order"}, order.items.map((item) => h("li", {}, h("span.num.times", {}, `${item.quantity} ×`),
      h("div.stretch", {}, h("strong.two-lines", {}, item.product_name), h("span.quiet.clip", {}, item.store_name)), h("span.num", {}, money(item.amount)))))];
}

function total(order) {
  return [h("span", {}, "Total"), h("strong.num", {}, money(order.total)),
    (order.paid || !isClosed(order)) && h("span.chip", {class: order.paid ? "green" : "amber"}, order.paid ? "Paid" : "Not paid yet")];
}

/** Draws when it would differ: who reads on, scrolls or has the focus there is left alone. */
function drawn(element, content, mark) {
  const text = JSON.stringify(mark);
  if (element.mark === text) return;
  element.mark = text;
  fill(element, content());
}

/** A dialog with the reader: act(token) -> Promise<order>. */
function withCard({title, text, act, done, other = ["That is another card", "Please hold the card that you ordered with."]}) {
  const state = h("div.card-state", {role: "alert"});
  const reader = cardReader({read: async (token) => {
    reader.toggleAttribute("inert", true);
    fill(state, h("div.notice", {}, icon("clock"), h("strong", {}, "One moment")));
    try {
      const order = await act(token);
      if (!dialog.open) return; // who has gone away is not called back
      dialog.close();
      done(order);
    } catch (problem) {
      reader.toggleAttribute("inert", false);
      const isOther = problem.type === "wrong-card";
      fill(state, h("div.notice.bad", {}, icon("card"), h("p", {},
        h("strong", {}, isOther ? other[0] : problem.isAway ? "The mall is busy" : "That did not work"),
        isOther ? other[1] : problem.isAway ? "Please try again in a moment." : `${problem.detail} ${problem.remedy}`.trim())));
    }
  }});
  const dialog = h("dialog.card-dialog", {"aria-label": title, on: {close: () => dialog.remove()}},
    h("div.dialog-head", {}, h("div.stretch", {}, h("h2", {}, title), h("p.quiet", {}, text)),
      h("button.button.plain", {type: "button", "aria-label": "Close", on: {click: () => dialog.close()}}, icon("close"))), state, reader);
  document.body.append(dialog);
  dialog.showModal();
}

export function orderScreen({api, leave, now = Date.now}, {order, token, fresh = false}) {
  const path = `/kiosk/v1/orders/${encodeURIComponent(order.id)}`;
  const headers = {"Cart-Token": token};
  const badge = h("div.order-badge");
  const title = h("h1", {tabindex: -1});
  const words = h("p.quiet");
  const reason = h("div.order-reason");
  const head = h("div.order-head", {"aria-live": "polite"}, badge, title, words,
    h("div.number-plate", {}, h("span", {}, "Order number"), h("strong.num", {}, orderNumber(order.id)),
      orderNumber(order.id) !== order.id && h("small.mono", {}, wholeNumber(order.id))), reason);
  const steps = h("ol.progress", {"aria-label": "How far your order is"});
  const goods = h("div.order-list");
  const sum = h("div.order-total");
  const body = h("div.order-body", {}, steps, h("section.order-items", {"aria-label": "Items"}, goods, sum));
  const stale = h("div.stale", {role: "status", hidden: true}, icon("off"), h("span", {}));
  let isOpen = true;
  let heard_ms = now();
  let timer = 0;

  const act = (what, title, text) => withCard({title, text,
    act: (card_token) => api.send("POST", `${path}/${what}`, {card_token}), done: (answer) => { order = answer; draw(); }});
  const draw = () => {
    const said = headOf(order, fresh);
    badge.className = `order-badge ${said.tone}`;
    drawn(badge, () => icon(said.symbol), said.symbol);
    if (title.textContent !== said.title) title.textContent = said.title;
    if (words.textContent !== said.text) words.textContent = said.text;
    drawn(reason, () => order.reason && h("div.notice.bad", {}, icon("info"), h("p", {}, h("strong", {}, "Reason"), order.reason)), order.reason);
    steps.hidden = order.status === "rejected" || order.status === "cancelled";
    drawn(steps, () => progress(order), [order.status, order.queue]);
    drawn(goods, () => items(order), order.items);
    drawn(sum, () => total(order), [order.total, order.paid, isClosed(order)]);
    pay.hidden = order.paid || isClosed(order) || order.status === "pending";
    cancel.hidden = !order.cancelable;
  };
  const mark = () => {
    const silent = now() - heard_ms > kStale_ms;
    stale.hidden = !silent;
    stale.lastChild.textContent = silent ? `No answer from the mall since ${clock(heard_ms, now())}. It is asked again by itself.` : "";
  };
  const turn = async () => {
    if (!isClosed(order)) {
      try {
        order = await api.get(path, {headers});
        heard_ms = now();
        if (isOpen) draw();
      } catch { /* marked as stale below, and asked again */ }
    } else heard_ms = now();
    mark();
    if (isOpen) timer = setTimeout(turn, kRefresh_ms);
  };
  const pay = h("button.button.primary.big", {type: "button", on: {click: () => act("pay", `Pay ${money(order.total)}`, "With the card that you ordered with. What is missing later is given back.")}}, icon("card"), "Pay now");
  const cancel = h("button.button.danger.big", {type: "button", on: {click: () => act("cancel", "Cancel this order?", "Hold the card that you ordered with to the reader.")}}, "Cancel order");
  draw();
  timer = setTimeout(turn, kRefresh_ms);
  return {
    element: h("main.sheet.order", {}, stale, h("div.order-top", {}, head), body,
      h("div.sheet-buttons", {}, cancel, pay, h("button.button.big", {type: "button", on: {click: leave}}, "Done"))),
    refresh() {}, close() { isOpen = false; clearTimeout(timer); document.querySelector("dialog.card-dialog")?.close(); },
  };
}

/** An order from before: its number, then the card it was made with. */
export function locateScreen({api, go, leave, known}) {
  const input = h("input.input.big-input.mono.on", {id: "number", inputmode: "none", autocomplete: "off", spellcheck: "false", maxlength: 64});
  const wrong = h("p.wrong", {id: "number-wrong", role: "alert", hidden: true});
  input.setAttribute("aria-describedby", "number-hint number-wrong");
  const refuse = (text) => { wrong.hidden = !text; wrong.textContent = text; input.setAttribute("aria-invalid", String(Boolean(text))); if (text) input.focus(); };
  const next = (event) => {
    event.preventDefault();
    const number = known(numberTyped(input.value));
    if (!number) return refuse("Please enter the order number.");
    refuse("");
    withCard({title: "Now the card", text: "Hold the card that you ordered with to the reader.",
      act: (card_token) => api.send("POST", `/kiosk/v1/orders/${encodeURIComponent(number)}/locate`, {card_token}),
      done: (found) => go("order", {order: found.order, token: found.token}),
      other: ["Number and card do not belong together", "Check the number, and hold the card that you ordered with."]});
  };
  return {
    element: h("main.sheet", {},
      h("form.you", {novalidate: true, on: {submit: next}},
        h("div.you-fields", {}, h("h1", {tabindex: -1}, "Follow an order"),
          h("div.field", {}, h("label", {for: "number"}, "Order number"), input,
            h("p.hint", {id: "number-hint"}, "Ordered at another kiosk? Then type its whole number."), wrong),
          h("div.sheet-buttons", {}, h("button.button.big", {type: "button", on: {click: leave}}, icon("back"), "Back"),
            h("button.button.primary.big", {type: "submit"}, "Continue", icon("next")))),
        h("div.pads", {}, keypad("letters", () => input)))),
    focus: input, refresh() {}, close() { document.querySelector("dialog.card-dialog")?.close(); },
  };
}
