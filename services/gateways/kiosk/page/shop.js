// Stores, what a store offers, and the cart beside it.

import {blank, fill, h, icon, skeletons, toast} from "../../page/dom.js";
import {money, plural} from "../../page/format.js";
import {pages} from "../../page/http.js";
import {VirtualList} from "../../page/virtual_list.js";
import {keypad} from "./keypad.js";
import {hueOf, initials, rem, stepper, stepsBar} from "./parts.js";

/** Rows that contain every word of what was typed. */
export function matching(rows, typed, text = (row) => row.name) {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return rows;
  return rows.filter((row) => words.every((word) => text(row).toLowerCase().includes(word)));
}

/** The list's frame: title, search field with keys on the screen, what is loaded into it. */
function shelf({title, intro, back, label, list, text, nothing, load}) {
  const body = h("div.shelf-body");
  const keys = h("div.shelf-keys", {hidden: true});
  const input = h("input.input.search-input", {type: "search", "aria-label": label, placeholder: label, autocomplete: "off", maxlength: 80, inputmode: "none",
    on: {input: () => show(), focus: () => { keys.hidden = false; }}});
  const found = h("p.sr", {role: "status"});
  keys.append(keypad("letters", () => input), h("button.button.keys-done", {type: "button", on: {click: () => { keys.hidden = true; }}}, "Done"));
  let rows = null;
  let shown = null;
  const show = () => {
    if (!rows) return;
    const hits = matching(rows, input.value, text);
    found.textContent = input.value ? plural(hits.length, "match", "matches") : "";
    if (!hits.length) {
      shown?.close();
      shown = null;
      fill(body, rows.length ? blank({symbol: "search", title: "Nothing found", text: `Nothing here matches “${input.value}”.`,
        action: h("button.button", {type: "button", on: {click: () => { input.value = ""; show(); }}}, "Show everything")}) : blank(nothing));
      return;
    }
    if (!shown) {
      const host = h("div.shelf-list", {tabindex: -1});
      fill(body, host);
      shown = list(host);
    }
    shown.set(hits);
  };
  const stop = new AbortController();
  const begin = async () => {
    fill(body, skeletons(6, "8rem"));
    try {
      await load((all, done) => { rows = [...all]; if (rows.length || done) show(); }, stop.signal);
    } catch (problem) {
      if (stop.signal.aborted) return;
      if (rows?.length) toast(problem.detail || "Not everything could be loaded.", "alert");
      else fill(body, refusal(problem, begin, back));
    }
  };
  const element = h("section.shelf", {},
    h("div.shelf-head", {}, back && h("button.button.back", {type: "button", on: {click: back}}, icon("back"), "Stores"),
      h("div.stretch", {}, h("h1", {tabindex: -1}, title), intro && h("p.quiet", {}, intro)), h("div.search", {}, icon("search"), input)),
    found, body, keys);
  begin();
  return {element, refresh: () => shown?.draw(true), close: () => { stop.abort(); shown?.close(); }};
}

export function refusal(problem, again, back) {
  if (problem.status === 401 || problem.status === 403) {
    return blank({kind: "bad", symbol: "lock", title: "This kiosk is not signed in", text: `${problem.detail} ${problem.remedy}`.trim()});
  }
  if (problem.status === 404) {
    return blank({kind: "warn", symbol: "store", title: "This store has left", text: "It does not take orders at present.",
      action: back && h("button.button.primary", {type: "button", on: {click: back}}, "To the stores")});
  }
  return blank({kind: "bad", symbol: "off", title: "The mall does not answer", text: "Your cart is kept. Please try again in a moment.",
    action: h("button.button.primary", {type: "button", on: {click: again}}, "Try again")});
}

function storesShelf({api, go}) {
  return shelf({
    title: "Where shall the robot go?", intro: "Order from as many stores as you like. One robot fetches everything.",
    label: "Find a store", text: (store) => store.name,
    nothing: {symbol: "store", title: "No store is open yet", text: "As soon as a store takes part, it appears here."},
    load: (onPage, signal) => pages(api, "/kiosk/v1/stores", "stores", {signal}, onPage),
    list: (host) => new VirtualList(host, {
      rowHeight: () => 9.5 * rem(), least: () => 17 * rem(), gap: 16, key: (store) => store.id, open: (store) => go("products", {store}),
      make: () => h("div.store-card", {role: "button"}, h("span.awning", {}), h("span.monogram", {}), h("strong.store-name", {}), icon("next")),
      update: (element, store) => {
        element.style.setProperty("--hue", String(hueOf(store.id)));
        element.querySelector(".monogram").textContent = initials(store.name);
        element.querySelector(".store-name").textContent = store.name;
      },
    }),
  });
}

function productsShelf({api, go, cart}, store) {
  return shelf({
    title: store.name, intro: null, back: () => go("stores"), label: "Find an item",
    text: (product) => `${product.name} ${product.description}`,
    nothing: {symbol: "box", title: "Nothing on the shelves", text: "This store offers nothing at present.",
      action: h("button.button.primary", {type: "button", on: {click: () => go("stores")}}, "To the stores")},
    load: (onPage, signal) => pages(api, `/kiosk/v1/stores/${encodeURIComponent(store.id)}/products`, "products", {signal}, onPage),
    list: (host) => new VirtualList(host, {
      rowHeight: () => 11.5 * rem(), least: () => 15.5 * rem(), gap: 14, overscan: 3, key: (product) => product.id,
      make: (product) => {
        const steps = stepper({name: product.name, get: () => cart.quantityOf(product.id), set: (n) => cart.set({...product, store_name: store.name}, n)});
        const card = h("article.product-card", {}, h("div.stretch", {}, h("h2.product-name", {}), h("p.product-about.quiet", {})),
          h("div.product-foot", {}, h("span.price.num", {}), steps));
        card.steps = steps;
        return card;
      },
      update: (card, product) => {
        card.querySelector(".product-name").textContent = product.name;
        card.querySelector(".product-about").textContent = product.description;
        card.querySelector(".price").textContent = money(product.price);
        card.classList.toggle("in-cart", cart.quantityOf(product.id) > 0);
        card.steps.refresh(product.name);
      },
    }),
  });
}

/** The cart: a panel at the side, or a bar at the lower edge that opens. */
function cartPanel({cart, go}) {
  const host = h("div.cart-lines", {tabindex: -1});
  const empty = h("div.cart-empty", {}, icon("cart"), h("p", {}, "Your cart is empty."), h("p.quiet", {}, "Items you add appear here."));
  const total = h("output.cart-total.num", {"aria-live": "polite", "aria-label": "Total"});
  const count = h("span.cart-count", {});
  const checkout = h("button.button.primary.big", {type: "button", on: {click: () => go("review")}}, "Review order", icon("next"));
  const toggle = h("button.cart-toggle", {type: "button", "aria-expanded": "false", on: {click: () => {
    const open = panel.classList.toggle("open");
    toggle.setAttribute("aria-expanded", String(open));
    list.draw(true);
  }}}, icon("cart"), count);
  const list = new VirtualList(host, {
    rowHeight: () => 6.2 * rem(), gap: 0, key: (line) => line.product_id,
    make: (line) => {
      const product = () => ({id: line.product_id, name: line.product_name, store_id: line.store_id, store_name: line.store_name, price: line.price});
      const steps = stepper({name: line.product_name, withAdd: false, get: () => cart.quantityOf(line.product_id), set: (n) => cart.set(product(), n)});
      const row = h("div.cart-line", {}, h("strong.clip.line-name", {}), h("span.line-amount.num", {}), h("span.clip.line-store.quiet", {}), steps);
      row.steps = steps;
      return row;
    },
    update: (row, line) => {
      row.querySelector(".line-name").textContent = line.product_name;
      row.querySelector(".line-store").textContent = line.store_name;
      row.querySelector(".line-amount").textContent = money(line.amount);
      row.steps.refresh(line.product_name);
    },
  });
  const panel = h("aside.cart", {"aria-label": "Your cart"},
    h("h2.cart-title", {}, "Your cart"), h("div.cart-body", {}, empty, host),
    h("div.cart-foot", {}, toggle, h("div.cart-sum", {}, h("span.quiet", {}, "Total"), total), checkout));
  const refresh = () => {
    const lines = cart.lines;
    empty.hidden = lines.length > 0;
    host.hidden = lines.length === 0;
    list.set(lines);
    total.textContent = money(cart.total);
    total.classList.toggle("unsettled", !cart.isSettled);
    total.setAttribute("aria-busy", String(!cart.isSettled));
    count.textContent = plural(cart.count, "item");
    checkout.disabled = lines.length === 0;
    panel.classList.toggle("has-items", lines.length > 0);
    if (!lines.length) panel.classList.remove("open");
  };
  refresh();
  return {element: panel, refresh, close: () => list.close()};
}

export function shopScreen(context, {store} = {}) {
  const panel = cartPanel(context);
  const shown = store ? productsShelf(context, store) : storesShelf(context);
  return {
    element: h("main.shop", {}, h("div.shop-main", {}, stepsBar(0), shown.element), panel.element),
    refresh: () => { shown.refresh(); panel.refresh(); },
    close: () => { shown.close(); panel.close(); },
  };
}
