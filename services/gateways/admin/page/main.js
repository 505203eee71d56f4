// The staff page: who is there, what they may see, which view, and whether it is live.

import {fill, h, icon, toast} from "../../page/dom.js";
import {clock, grouped} from "../../page/format.js";
import {Api, Problem} from "../../page/http.js";
import {customersView} from "./customers.js";
import {depotView} from "./depot.js";
import {floorView} from "./floor.js";
import {Live} from "./live.js";
import {operationsView} from "./operations.js";
import {ordersView} from "./orders.js";
import {pickupView} from "./pickup.js";
import {signInView, takeLink} from "./sign_in.js";
import {storesView} from "./stores.js";
import {failure, forbidden} from "./table.js";

const kViews = {
  floor: {label: "Floor", symbol: "map", permission: "plan.see", make: floorView},
  orders: {label: "Orders", symbol: "list", permission: "orders.see", make: ordersView},
  depot: {label: "Depot", symbol: "box", permission: "depot.see", make: depotView},
  pickup: {label: "Pickup", symbol: "door", permission: "pickup.see", make: pickupView},
  stores: {label: "Stores", symbol: "store", permission: "stores.see", make: storesView},
  customers: {label: "Customers", symbol: "users", permission: "customers.see", make: customersView},
  operations: {label: "Operations", symbol: "pulse", permission: "operations.see", make: operationsView},
};
const kRoleNames = {"store-owner": "Store owner", "store-admin": "Store admin", "depot-staff": "Depot staff", "depot-admin": "Depot admin"};

const app = document.getElementById("app");
const api = new Api();
const plain = api.once.bind(api);
api.once = async (...asked) => {
  try { return await plain(...asked); } catch (problem) {
    if (problem instanceof Problem && problem.status === 401 && session && asked[1] !== "/admin/v1/session") signedOut("Your session has ended. Please sign in again.");
    throw problem;
  }
};
let session = null; // {me, live, view, name, ends}

/** "#orders/ID?state=ready" -> {name, id, asked}. */
function placeIn(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  const [name, ...rest] = path.split("/");
  let id = null;
  try { id = rest.length ? decodeURIComponent(rest.join("/")) : null; } catch { id = null; }
  return {name, id: id || null, asked: new URLSearchParams(query)};
}

function shell(me) {
  const nav = h("nav", {"aria-label": "Views"}, h("ul", {}, Object.entries(kViews).filter(([, view]) => me.permissions.includes(view.permission)).map(([name, {label, symbol}]) =>
    h("li", {}, h("a.nav-link", {href: `#${name}`, "data-view": name}, icon(symbol), h("span.nav-word", {}, label), h("span.badge.num", {hidden: true}))))));
  const {dataset} = document.documentElement; // theme.js has set what was chosen before
  const theme = h("button.button.plain.side-button", {type: "button", on: {click: () => {
    const isDark = (dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    dataset.theme = isDark ? "light" : "dark";
    try { localStorage.setItem("theme", dataset.theme); } catch { /* kept from pages: it holds until the page is left */ }
    nameTheme();
  }}, "aria-label": "Light or dark"});
  const nameTheme = () => fill(theme, icon(dataset.theme === "light" ? "moon" : "sun"),
    h("span.nav-word", {}, {light: "Dark", dark: "Light"}[dataset.theme] ?? "Light or dark"));
  nameTheme();
  const out = h("button.button.plain.side-button", {type: "button", "aria-label": "Sign out", on: {click: async () => {
    await api.ask("DELETE", "/admin/v1/session").catch(() => null);
    signedOut();
  }}}, icon("door"), h("span.nav-word", {}, "Sign out"));
  const pill = h("span.pill", {role: "status"});
  const title = h("h1", {tabindex: -1});
  const banner = h("div.stale-banner", {role: "status", hidden: true});
  const main = h("main", {id: "main"});
  fill(app, h("div.frame", {},
    h("a.skip", {href: "#main", on: {click: (event) => { event.preventDefault(); title.focus(); }}}, "To the content"),
    h("header.side", {}, h("div.side-brand", {}, h("img", {src: "/page/robot.svg", alt: "", width: 36, height: 36}), h("span.nav-word", {}, "MallBots")), nav, h("div.stretch"),
      h("div.who", {}, h("span.who-icon", {}, icon("user")), h("div.nav-word.who-words", {}, h("strong.clip", {}, me.name), h("span.clip", {}, me.roles.map((role) => kRoleNames[role] ?? role).join(", ")))), theme, out),
    h("div.content", {}, h("div.top", {}, title, h("div.stretch"), pill), banner, main)));
  return {nav, pill, title, banner, main};
}

function welcome(me) {
  const place = placeIn(location.hash);
  const first = Object.entries(kViews).find(([, view]) => me.permissions.includes(view.permission))?.[0] ?? "floor";
  const parts = shell(me);
  const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/admin/v1/socket`;
  session = {me, parts, view: null, name: null, ends: []};
  session.live = new Live({connect: () => new WebSocket(address), onState: (state) => showState(state)});
  badges();
  if (!kViews[place.name]) history.replaceState(null, "", `#${first}`);
  move();
}

function showState({state, since_ms, why}) {
  if (!session) return;
  if (state === "signed-out") return signedOut("Your session has ended. Please sign in again.");
  const {pill, banner, main} = session.parts;
  const label = {live: "Live", connecting: "Connecting", stale: "Not live"}[state];
  pill.className = `pill ${state}`;
  if (pill.textContent !== label) pill.textContent = label;
  const isStale = state === "stale";
  main.classList.toggle("is-stale", isStale);
  banner.hidden = !isStale;
  if (!isStale) return;
  fill(banner, icon("off"), h("span", {}, `What you see is not of now${since_ms ? `: as of ${clock(since_ms, Date.now())}` : ""}. ${why}`.trim()));
}

/** What waits for whom, beside the names of views. */
function badges() {
  const {me, live, parts, ends} = session;
  const badge = (name, count, what) => {
    const element = parts.nav.querySelector(`[data-view="${name}"] .badge`);
    if (!element) return;
    element.hidden = count === 0;
    const text = count > 999 ? "999+" : grouped(count);
    if (element.mark !== text) { element.mark = text; fill(element, text, h("span.sr", {}, ` ${what}`)); }
  };
  const may = (permission) => me.permissions.includes(permission);
  if (may("depot.see")) ends.push(live.subscribe("lists", (board) => badge("depot", [...board.rows.values()].filter((list) => list.phase === "at-depot").length, "wait")));
  if (may("participation.decide")) ends.push(live.subscribe("stores", (board) => badge("stores", [...board.rows.values()].filter((store) => store.participation === "requested").length, "requests")));
  if (may("operations.see")) ends.push(live.subscribe("ops", (board) => badge("operations", [...board.rows.values()].reduce((sum, row) => sum + (row.kind === "letters" ? row.left : row.kind === "saga" ? 1 : 0), 0), "need a look")));
}

function go(name, id = null) {
  const to = `#${name}${id ? `/${String(id).split("/").map(encodeURIComponent).join("/")}` : ""}`;
  if (location.hash === to) return move();
  location.hash = to;
}

function move() {
  if (!session) return;
  const link = takeLink();
  if (link) return void signedOut(null, link);
  const {name, id, asked} = placeIn(location.hash);
  const known = kViews[name];
  const {me, parts} = session;
  if (session.view && session.name === name && session.view.move) {
    if (session.id !== id) session.view.move(id);
    session.id = id;
    return;
  }
  session.view?.close?.();
  session.name = name;
  session.id = id;
  const may = (permission) => me.permissions.includes(permission);
  if (!known) session.view = {title: "Not found", element: failure({status: 404, detail: "There is no such view."})};
  else if (!may(known.permission)) session.view = {title: known.label, element: forbidden()};
  else session.view = known.make({api, live: session.live, can: may, go, me, replace: (to) => history.replaceState(null, "", `#${to}`)}, id, asked);
  fill(parts.main, session.view.element);
  parts.title.textContent = session.view.title;
  document.title = `${session.view.title} · MallBots staff`;
  for (const link of parts.nav.querySelectorAll("a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  parts.nav.querySelector("[aria-current]")?.scrollIntoView?.({block: "nearest", inline: "nearest"});
  (session.view.focus ?? parts.title).focus({preventScroll: true});
}

function signedOut(why, link) {
  if (session) {
    session.view?.close?.();
    session.live?.close();
    session = null;
  }
  document.querySelectorAll("dialog").forEach((dialog) => dialog.remove());
  document.title = "MallBots staff";
  const view = signInView({api, welcome, link, why});
  fill(app, view.element);
  view.focus.focus();
}

async function begin() {
  const link = takeLink();
  if (link) return signedOut(null, link);
  try {
    welcome(await api.get("/admin/v1/session"));
  } catch (problem) {
    if (problem.status === 401) return signedOut();
    fill(app, h("main.sign-in", {}, failure(problem, begin)));
  }
}

addEventListener("hashchange", move);
addEventListener("unhandledrejection", (event) => { if (event.reason instanceof Problem) { event.preventDefault(); toast(event.reason.detail || event.reason.title, "alert"); } });
begin();
