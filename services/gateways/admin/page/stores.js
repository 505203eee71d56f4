// Stores and their products; requests to take part, approved or denied.

import {fill, h, icon, skeletons, toast} from "../../page/dom.js";
import {grouped, minorOf, money, plural} from "../../page/format.js";
import {pages} from "../../page/http.js";
import {facts, kStates, stateChip} from "./parts.js";
import {placeOf} from "./plan.js";
import {Table, ask, commander, failure, split} from "./table.js";

const kOrder = {requested: 0, participating: 1, private: 2};

export function storesView({api, live, can, go}, id) {
  let rows = [];
  let kind = "";
  const tabs = h("div.tabs", {role: "group", "aria-label": "Participation"});
  const table = new Table({label: "Stores", rowHeight: 48, open: (store) => go("stores", store.id),
    empty: {symbol: "store", title: "No store here", text: can("stores.create") ? "Add the first one with “New store”." : "Stores appear as soon as there are some."},
    columns: [
      {title: "Store", size: "minmax(8em, 2fr)", class: "clip", text: (store) => store.name},
      {title: "On the plan", size: "6em", class: "num quiet", text: (store) => store.location},
      {title: "Participation", size: "9em", draw: (store) => stateChip(store.participation), mark: (store) => store.participation},
    ]});
  const add = h("button.button", {type: "button", on: {click: async () => {
    const values = await ask({title: "New store", yes: "Add the store", fields: [{name: "name", label: "Name"}, {name: "location", label: "Place on the floor plan", hint: "x,y: for example 12,4"}],
      check: ({name, location}) => !name ? "Please give it a name." : placeOf(location) ? null : "The place is two numbers: x,y."});
    if (!values) return;
    try {
      const store = await api.send("POST", "/admin/v1/stores", values);
      toast(`${store.name} is added, private at first.`, "check");
      go("stores", store.id);
    } catch (problem) { toast(`${problem.detail} ${problem.remedy}`, "alert", 9000); }
  }}}, icon("plus"), "New store");
  const panes = split(h("div.list-pane", {}, h("div.bar-row", {}, tabs, h("div.stretch"), can("stores.create") && add), table.element));
  panes.back = () => { go("stores"); table.list.focus(table.list.current); };
  let detail = null;
  const show = () => {
    const counts = {};
    rows.forEach((store) => { counts[store.participation] = (counts[store.participation] ?? 0) + 1; });
    const mark = JSON.stringify([counts, kind]);
    if (tabs.mark !== mark) {
      const had = tabs.contains(document.activeElement) ? document.activeElement.dataset.kind : null;
      tabs.mark = mark;
      fill(tabs, ["", "requested", "participating", "private"].map((name) => h("button.tab", {type: "button", "data-kind": name, "aria-pressed": String(kind === name), on: {click: () => { kind = name; show(); }}},
        kStates[name]?.label ?? "All", h("span.count", {}, grouped(name ? counts[name] ?? 0 : rows.length)))));
      if (had !== null) tabs.querySelector(`[data-kind="${had}"]`)?.focus();
    }
    table.set(rows.filter((store) => !kind || store.participation === kind));
  };
  const end = live.subscribe("stores", (board) => {
    if (board.isLoading) return;
    rows = [...board.rows.values()].sort((a, b) => kOrder[a.participation] - kOrder[b.participation] || a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1));
    show();
    if (detail && board.rows.has(id)) detail.heard(board.rows.get(id));
  }, {onRefused: (problem) => table.fail(problem)});
  const open = (store) => {
    detail?.close();
    detail = null;
    id = store;
    table.choose(store);
    if (!store) return panes.clear();
    detail = storeDetail({api, can}, store);
    panes.show(detail.element);
  };
  open(id);
  return {title: can("stores.edit") && !can("participation.decide") ? "Your stores" : "Stores", element: panes.element, close() { end(); detail?.close(); table.close(); }, move(to) { open(to); if (to) panes.detail.focus(); }};
}

const priceField = (value) => ({name: "price", label: "Price, £", value, inputmode: "decimal", hint: "At most two decimals"});
const priceWrong = (text) => { const minor = minorOf(text); return minor === null || minor <= 0 ? "The price is an amount like 12.50." : null; };

function storeDetail({api, can}, id) {
  const path = `/admin/v1/stores/${encodeURIComponent(id)}`;
  const head = h("div", {}, skeletons(2, "3em"));
  const say = h("div", {role: "alert"});
  const actions = h("div.actions", {});
  const goods = h("section.block.goods", {});
  const command = commander(say);
  const stop = new AbortController();
  let store = null;
  let products = [];

  const act = async (button, method, what, body, text) => {
    const answer = await command(button, () => api.send(method, `${path}/${what}`, body));
    if (answer?.participation) { draw(answer); toast(text, "check"); }
  };
  const button = (label, kind, click) => { const element = h("button.button", {type: "button", class: kind, on: {click: () => click(element)}}, label); return element; };
  const draw = (row) => {
    store = row;
    fill(head, h("div.detail-head", {}, h("h2.stretch.wrap", {}, row.name), stateChip(row.participation)), facts([["Place", row.location], ["Id", h("span.mono.wrap", {}, row.id)]]));
    const decides = can("participation.decide");
    const edits = can("stores.edit");
    fill(actions,
      decides && row.participation !== "participating" && button(row.participation === "requested" ? "Approve" : "Let take part", "primary", (b) => act(b, "POST", "participation", undefined, `${row.name} takes part now.`)),
      decides && row.participation === "requested" && button("Deny", "danger", async (b) => {
        const said = await ask({title: `Deny ${row.name}?`, yes: "Deny", danger: true, fields: [{name: "reason", label: "Reason", most: 300}], check: ({reason}) => reason ? null : "Please give a reason."});
        if (said) await act(b, "POST", "participation-denial", {reason: said.reason}, "Denied.");
      }),
      !decides && edits && row.participation === "private" && button("Ask to take part", "primary", (b) => act(b, "POST", "participation-request", undefined, "Asked. A store admin decides.")),
      edits && row.participation !== "private" && button(row.participation === "requested" ? "Take the request back" : "End participation", "danger", async (b) => {
        if (row.participation === "participating" && !await ask({title: `End the participation of ${row.name}?`, text: "Its items cannot be ordered any more; carts that hold them say so at review.", yes: "End it", danger: true})) return;
        await act(b, "DELETE", "participation", undefined, "Done.");
      }),
      edits && button("Rename", "", async (b) => {
        const said = await ask({title: "Another name", yes: "Rename", fields: [{name: "name", label: "Name", value: row.name}], check: ({name}) => name ? null : "Please give it a name."});
        if (!said) return;
        const answer = await command(b, () => api.send("PATCH", path, {name: said.name}));
        if (answer?.participation) draw(answer);
      }));
  };

  const table = new Table({label: "Products", rowHeight: 52, rowClass: () => "tall",
    empty: {symbol: "box", title: "No products yet", text: "Add what this store offers."},
    columns: [
      {title: "Product", size: "minmax(8em, 2fr)", draw: (product) => h("div.two", {}, h("strong.clip", {}, product.name), h("span.quiet.clip", {}, product.description || product.sku || "")), mark: (product) => `${product.name}|${product.description}|${product.sku}`},
      {title: "Price", size: "5.6em", class: "end num", text: (product) => money(product.price)},
      {title: "", size: can("products.edit") ? "11em" : "0", class: "end", draw: (product) => can("products.edit") && h("div.row-buttons", {},
        h("button.button.small", {type: "button", "aria-label": `Price of ${product.name}`, on: {click: () => changePrice(product)}}, "Price"),
        h("button.button.small", {type: "button", "aria-label": `Edit ${product.name}`, on: {click: () => rename(product)}}, "Edit"),
        h("button.button.small", {type: "button", "aria-label": `Remove ${product.name}`, on: {click: () => remove(product)}}, icon("trash"))), mark: (product) => `${product.id}|${product.name}|${product.price.minor}|${product.description}`},
    ]});
  const title = h("h3.stretch", {}, "Products");
  const show = () => {
    title.textContent = products.length ? plural(products.length, "product") : "Products";
    table.set(products);
  };
  const put = (product) => { products = products.some((row) => row.id === product.id) ? products.map((row) => (row.id === product.id ? product : row)) : [product, ...products]; show(); };
  const tell = async (act) => {
    try { await act(); fill(say); } catch (problem) { fill(say, h("div.notice.bad", {}, icon("alert"), h("p", {}, `${problem.detail} ${problem.remedy}`.trim()))); }
  };
  const at = (product) => `${path}/products/${encodeURIComponent(product.id)}`;
  const changePrice = async (product) => {
    const said = await ask({title: `Price of ${product.name}`, text: "From now on. Carts that hold it are told at review.", yes: "Change the price", fields: [priceField((product.price.minor / 100).toFixed(2))], check: ({price}) => priceWrong(price)});
    if (said) await tell(async () => put(await api.send("PUT", `${at(product)}/price`, {price: {minor: minorOf(said.price), currency: product.price.currency}})));
  };
  const rename = async (product) => {
    const said = await ask({title: "Name and description", yes: "Save", fields: [{name: "name", label: "Name", value: product.name}, {name: "description", label: "Description", value: product.description, kind: "long", most: 1000}], check: ({name}) => name ? null : "Please give it a name."});
    if (said) await tell(async () => put(await api.send("PATCH", at(product), {name: said.name, ...(said.description && {description: said.description})})));
  };
  const remove = async (product) => {
    if (!await ask({title: `Remove ${product.name}?`, text: "It cannot be ordered any more. This cannot be undone.", yes: "Remove", danger: true})) return;
    await tell(async () => { await api.send("DELETE", at(product)); products = products.filter((row) => row.id !== product.id); show(); });
  };
  const add = h("button.button", {type: "button", on: {click: async () => {
    const said = await ask({title: "New product", yes: "Add it", fields: [{name: "name", label: "Name"}, {name: "description", label: "Description", kind: "long", most: 1000}, {name: "sku", label: "Stock code"}, priceField("")],
      check: ({name, sku, price}) => !name ? "Please give it a name." : !sku ? "Please give it a stock code." : priceWrong(price)});
    if (!said) return;
    await tell(async () => put(await api.send("POST", `${path}/products`, {name: said.name, sku: said.sku, ...(said.description && {description: said.description}), price: {minor: minorOf(said.price), currency: "GBP"}})));
  }}}, icon("plus"), "New product");

  const load = async () => {
    try { draw(await api.get(path, {tries: 3, signal: stop.signal})); } catch (problem) { if (!stop.signal.aborted) fill(head, failure(problem, load)); return; }
    if (!can("products.see")) return;
    try { await pages(api, `${path}/products`, "products", {signal: stop.signal}, (rows) => { products = [...rows]; show(); }); } catch (problem) { if (!stop.signal.aborted) table.fail(problem, load); }
  };
  if (can("products.see")) fill(goods, h("div.bar-row", {}, title, can("products.edit") && add), table.element);
  if (!can("products.see")) fill(goods, h("p.quiet", {}, "Your role sees stores, not what they offer."));
  load();
  return {element: h("div.detail-body.fill", {}, head, actions, say, goods), close() { stop.abort(); table.close(); },
    heard(row) { if (JSON.stringify(row) !== JSON.stringify(store)) draw(row); }};
}
