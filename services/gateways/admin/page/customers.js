// Customers: find, let order or not, change the number.

import {fill, h, icon, skeletons, toast} from "../../page/dom.js";
import {plural} from "../../page/format.js";
import {pages} from "../../page/http.js";
import {facts} from "./parts.js";
import {Table, ask, commander, failure, split} from "./table.js";

/** A number as lists show it: the gateway hides the middle. */
export const masked = (number) => number.replace(/(?<=.{3}).(?=.{2})/g, "*");

const mayChip = (enabled) => h("span.chip", {class: enabled ? "green" : "red"}, enabled ? "May order" : "May not order");

const kNobody = {symbol: "users", title: "No customer yet", text: "Customers are those who have ordered at a kiosk."};

export function customersView({api, can, go}, id) {
  let rows = [];
  let stop = new AbortController();
  let detail = null;
  const input = h("input.input", {type: "search", placeholder: "Name", "aria-label": "Find a customer by name", autocomplete: "off", maxlength: 80, on: {input: () => { clearTimeout(waiting); waiting = setTimeout(load, 250); }}});
  let waiting = 0;
  const title = h("h2.list-title", {}, "Customers");
  const table = new Table({label: "Customers", open: (customer) => go("customers", customer.id),
    empty: kNobody,
    columns: [
      {title: "Name", size: "minmax(7em, 2fr)", class: "clip", text: (customer) => customer.name},
      {title: "Number", size: "10em", class: "num quiet", text: (customer) => customer.sms_number},
      {title: "State", size: "9em", draw: (customer) => mayChip(customer.enabled), mark: (customer) => customer.enabled},
    ]});
  const panes = split(h("div.list-pane", {}, h("div.bar-row", {}, title, h("div.stretch"), h("div.search", {}, icon("search"), input)), table.element));
  panes.back = () => { go("customers"); table.list.focus(table.list.current); };
  const load = async () => {
    stop.abort();
    stop = new AbortController();
    const {signal} = stop;
    const name = input.value.trim();
    table.empty = name ? {symbol: "search", title: "Nobody found", text: `No customer's name has “${name}” in it.`} : kNobody;
    try {
      await pages(api, `/admin/v1/customers${name ? `?name=${encodeURIComponent(name)}` : ""}`, "customers", {signal}, (all) => {
        rows = [...all];
        title.textContent = plural(rows.length, "customer");
        table.set(rows);
      });
    } catch (problem) { if (!signal.aborted) table.fail(problem, load); }
  };
  const changed = (customer) => {
    rows = rows.map((row) => (row.id === customer.id ? {...customer, sms_number: masked(customer.sms_number)} : row));
    table.set(rows);
  };
  const open = (customer) => {
    detail?.close();
    detail = null;
    table.choose(customer);
    if (!customer) return panes.clear();
    detail = customerDetail({api, can, changed}, customer);
    panes.show(detail.element);
  };
  load();
  open(id);
  return {title: "Customers", element: panes.element, close() { stop.abort(); detail?.close(); table.close(); clearTimeout(waiting); }, move(to) { open(to); if (to) panes.detail.focus(); }};
}

function customerDetail({api, can, changed}, id) {
  const path = `/admin/v1/customers/${encodeURIComponent(id)}`;
  const say = h("div", {role: "alert"});
  const body = h("div", {}, skeletons(3, "3em"));
  const command = commander(say);
  let isOpen = true;
  const draw = (customer) => {
    if (!isOpen) return;
    const toggle = h("button.button", {type: "button", class: customer.enabled ? "danger" : "primary", on: {click: async () => {
      if (customer.enabled && !await ask({title: `Disable ${customer.name}?`, text: "New orders of this customer are rejected. Orders under way go on.", yes: "Disable", danger: true})) return;
      const answer = await command(toggle, () => api.send("PUT", `${path}/enabled`, {enabled: !customer.enabled}));
      if (answer?.id) { changed(answer); draw(answer); toast(answer.enabled ? "May order again." : "May not order any more.", "check"); }
    }}}, customer.enabled ? "Disable" : "Enable");
    const number = h("button.button", {type: "button", on: {click: async () => {
      const said = await ask({title: "Another number", yes: "Change the number", fields: [{name: "number", label: "Phone number", value: customer.sms_number, inputmode: "tel", hint: "With the country's code: +44…"}],
        check: (values) => /^(\+|00)[\d\s()-]{7,20}$/.test(values.number) ? null : "A phone number has a plus and 7 to 15 digits."});
      if (!said) return;
      const answer = await command(number, () => api.send("PUT", `${path}/number`, {number: said.number.replace(/[\s()-]/g, "")}));
      if (answer?.id) { changed(answer); draw(answer); toast("The number is changed.", "check"); }
    }}}, icon("phone"), "Change number");
    fill(body, h("div.detail-head", {}, h("h2.stretch.wrap", {}, customer.name), mayChip(customer.enabled)),
      facts([["Phone", h("span.num", {}, customer.sms_number)], ["Id", h("span.mono.wrap", {}, customer.id)]]), can("customers.edit") && h("div.actions", {}, toggle, number), say);
  };
  const load = async () => {
    try { draw(await api.get(path, {tries: 3})); } catch (problem) { if (isOpen) fill(body, failure(problem, load)); }
  };
  load();
  return {element: h("div.detail-body", {}, body), close() { isOpen = false; }};
}
