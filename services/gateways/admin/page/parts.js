// Pieces of the staff page's views.

import {h} from "../../page/dom.js";
import {kOrderStates, money, words} from "../../page/format.js";

/** Of stores, and of robots. */
export const kStates = {
  requested: {label: "Requested", tone: "amber"}, participating: {label: "Taking part", tone: "green"}, private: {label: "Private", tone: ""},
  active: {label: "Active", tone: "blue"}, idle: {label: "Idle", tone: "green"}, offline: {label: "Offline", tone: "red"},
};

export function stateChip(status) {
  const known = kOrderStates[status] ?? kStates[status] ?? {label: words(status) || "None", tone: ""};
  return h("span.chip", {class: known.tone}, known.label);
}

/** A list of names and values. */
export function facts(rows) {
  return h("dl.facts", {}, rows.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function linesTable(lines) {
  return h("div.lines", {tabindex: 0, role: "region", "aria-label": "Items"}, h("table", {},
    h("thead", {}, h("tr", {}, h("th", {}, "Item"), h("th.end", {}, "Count"), h("th.end", {}, "Price"), h("th.end", {}, "Amount"))),
    h("tbody", {}, lines.map((line) => h("tr", {}, h("td", {}, line.product_name, h("span.quiet.under-line", {}, line.store_name)), h("td.end.num", {}, String(line.quantity)),
      h("td.end.num", {}, money(line.price)), h("td.end.num", {}, money({minor: line.price.minor * line.quantity, currency: line.price.currency})))))));
}

export function invoiceBox(invoice) {
  if (!invoice) return h("p.quiet", {}, "There is no invoice yet: it is made when the order is approved.");
  const row = (name, value, more) => h("div", {class: more ?? ""}, h("dt", {}, name), h("dd.num", {}, money(value)));
  return h("dl.invoice", {}, row("Confirmed at the kiosk", invoice.first_amount),
    invoice.adjustment.minor !== 0 && row("Not there at the depot", invoice.adjustment, "less"),
    row(invoice.state === "paid" ? "Amount" : "To be paid", invoice.amount, "sum"),
    invoice.paid.minor !== 0 && row(`Paid${invoice.paid_by ? ` by ${invoice.paid_by}` : ""}`, invoice.paid));
}

export function section(title, ...content) {
  return h("section.block", {}, h("h3", {}, title), ...content);
}
