// The order once more, at today's prices: what changed is said, and confirmed anew.

import {blank, fill, h, icon, skeletons} from "../../page/dom.js";
import {money, plural} from "../../page/format.js";
import {VirtualList} from "../../page/virtual_list.js";
import {reviewRows} from "./cart.js";
import {hueOf, rem, stepper, stepsBar} from "./parts.js";
import {refusal} from "./shop.js";

/** What changed of a line, in words; null: nothing. */
export function changeWords(change) {
  if (!change) return null;
  if (change.kind === "vanished") return "Not sold any more: taken out of your cart";
  if (change.kind === "name") return `Was called “${change.before.product_name}”`;
  const dearer = change.now.price.minor > change.before.price.minor;
  return `${dearer ? "Now dearer" : "Now cheaper"}: was ${money(change.before.price)}`;
}

function makeLine(cart, row) {
  const product = {id: row.product_id, name: row.product_name, store_id: row.store_id, store_name: row.store_name, price: row.price};
  const isGone = row.change?.kind === "vanished";
  const steps = isGone ? null : stepper({name: row.product_name, withAdd: false, get: () => cart.quantityOf(row.product_id), set: (n) => cart.set(product, n)});
  const line = h("div.review-line", {role: "listitem"}, h("span.swatch", {}),
    h("div.stretch", {}, h("strong.two-lines.line-name", {}), h("span.clip.line-store.quiet", {}), h("span.line-change", {})),
    h("span.line-price.quiet.num", {}), steps, h("span.line-amount.num", {}));
  line.steps = steps;
  return line;
}

function updateLine(line, row) {
  const what = changeWords(row.change);
  line.classList.toggle("gone", row.change?.kind === "vanished");
  line.classList.toggle("changed", Boolean(what));
  line.querySelector(".swatch").style.setProperty("--hue", String(hueOf(row.store_id)));
  line.querySelector(".line-name").textContent = row.product_name;
  line.querySelector(".line-store").textContent = row.store_name;
  line.querySelector(".line-change").textContent = what ?? "";
  line.querySelector(".line-price").textContent = `${money(row.price)} each`;
  line.querySelector(".line-amount").textContent = row.change?.kind === "vanished" ? "–" : money(row.amount);
  line.steps?.refresh(row.product_name);
}

/** known: a review that a refused submit brought along. */
export function reviewScreen({cart, go}, {known} = {}) {
  const notice = h("div.review-notice", {role: "alert"});
  const host = h("div.review-list", {role: "list", "aria-label": "Items of your order", tabindex: 0});
  const body = h("div.review-body", {}, host);
  const total = h("output.cart-total.num", {"aria-live": "polite", "aria-label": "Total"});
  const count = h("span.quiet", {});
  const confirm = h("button.button.primary.big", {type: "button", on: {click: () => go("you", {confirmed_total: cart.total})}});
  let changes = null;
  let isOpen = true;
  const list = new VirtualList(host, {rowHeight: () => 6 * rem(), key: (row) => `${row.product_id}${row.change?.kind === "vanished" ? "-gone" : ""}`,
    make: (row) => makeLine(cart, row), update: updateLine, sizerRole: "presentation"});

  const toStores = () => h("button.button.primary", {type: "button", on: {click: () => go("stores")}}, "To the stores");
  const refresh = () => {
    if (!changes) return;
    const lines = cart.lines;
    list.set(reviewRows({items: lines}, changes));
    const gone = changes.filter((change) => change.kind === "vanished").length;
    const other = changes.length - gone;
    fill(notice, changes.length > 0 && h("div.notice.warn", {}, icon("alert"), h("p", {},
      h("strong", {}, `Since you chose, ${[other && `${plural(other, "item has", "items have")} changed`, gone && `${plural(gone, "item is", "items are")} not sold any more`].filter(Boolean).join(" and ")}.`),
      "Nothing is charged before you confirm the new total.")));
    total.textContent = money(cart.total);
    total.classList.toggle("unsettled", !cart.isSettled);
    count.textContent = plural(cart.count, "item");
    fill(confirm, changes.length ? "Confirm the new total" : "Confirm", icon("next"));
    confirm.disabled = lines.length === 0 || !cart.isSettled;
    if (!lines.length) {
      fill(body, blank({symbol: "cart", title: "Your cart is empty", action: toStores()}));
    } else if (!host.isConnected) fill(body, host);
  };
  const begin = async () => {
    if (known) { changes = known.changes; refresh(); return; }
    fill(body, skeletons(4, "5rem"));
    try {
      const review = await cart.review();
      changes = review.changes;
      if (isOpen) { fill(body, host); refresh(); }
    } catch (problem) {
      const isLost = problem.type === "wrong-token" || await cart.isClosed(problem);
      if (!isOpen) return;
      if (isLost) cart.forget();
      fill(body, isLost ? blank({symbol: "clock", title: "This cart was closed", text: "Nothing happened in it for long. Please start again.", action: toStores()}) : refusal(problem, begin));
    }
  };
  confirm.disabled = true;
  fill(confirm, "Confirm", icon("next"));
  begin();
  return {
    element: h("main.sheet", {}, stepsBar(1),
      h("div.sheet-head", {}, h("button.button.back", {type: "button", on: {click: () => go("stores")}}, icon("back"), "Add more"),
        h("h1", {tabindex: -1}, "Is this everything?")),
      notice, body,
      h("div.sheet-foot", {}, h("div.cart-sum", {}, count, total), confirm)),
    refresh, close: () => { isOpen = false; list.close(); },
  };
}
