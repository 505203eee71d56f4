// The kiosk: one screen at a time, one cart, and an eye on whether anybody is still there.

import {fill, h, icon, svg, toast} from "../../page/dom.js";
import {orderNumber} from "../../page/format.js";
import {Api} from "../../page/http.js";
import {Cart} from "./cart.js";
import {cardScreen, youScreen} from "./details.js";
import {idleSettings, idleState} from "./idle.js";
import {locateScreen, orderScreen} from "./order.js";
import {reviewScreen} from "./review.js";
import {shopScreen} from "./shop.js";

const api = new Api();
const idle = idleSettings(location.search);
const app = document.getElementById("app");
const stage = h("div.stage");
let screen = null;
let screenName = "";
let touched_ms = Date.now();
let isPaying = false; // nobody is sent away, nothing is given up, while a card is asked
const customer = {phone: "", name: ""};
const orders = new Map(); // those of this kiosk, by the number that people say

const cart = new Cart({api,
  changed: () => screen?.refresh(),
  failed: (problem, product, isLost) => {
    if (isLost) {
      toast("This cart was closed because nothing happened for long. Please start again.", "clock", 9000);
    } else if (problem.isAway) {
      toast(`The mall is busy: ${product.name} was not changed. Please try again.`, "clock");
    } else {
      toast(`${product.name}: ${problem.detail}`, "alert", 9000);
    }
    screen?.refresh();
  }});

const context = {
  api, cart, go, customer,
  leave: () => (cart.isEmpty ? home() : go("stores")), // who followed an order with a full cart shops on
  placed: (order) => {
    const token = cart.token;
    cart.forget();
    Object.assign(customer, {phone: "", name: ""});
    orders.set(orderNumber(order.id).replace(" ", "").toLowerCase(), order.id);
    go("order", {order, token, fresh: true});
  },
  paying: (yes) => {
    isPaying = yes;
    again.disabled = yes;
    touched_ms = Date.now();
  },
  known: (typed) => orders.get(typed) ?? typed,
};

const kScreens = {
  start: startScreen, stores: shopScreen, products: shopScreen, review: reviewScreen, you: youScreen, card: cardScreen,
  order: orderScreen, locate: locateScreen,
};

function go(name, parameters = {}) {
  screen?.close();
  screenName = name;
  screen = kScreens[name](context, parameters);
  fill(stage, screen.element);
  again.hidden = name === "start";
  follow.hidden = !["start", "stores", "products"].includes(name);
  document.body.dataset.screen = name;
  (screen.focus ?? stage.querySelector("h1"))?.focus({preventScroll: true});
}

/** Back to the start, with nothing left of whoever was here. */
function home() {
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  cart.drop();
  Object.assign(customer, {phone: "", name: ""});
  go("start");
}

function startScreen() {
  const robot = svg("svg", {viewBox: "0 0 360 250", class: "hero", "aria-hidden": "true"},
    svg("path", {d: "M20 214h320", class: "floor"}),
    svg("g", {class: "stores-far"}, ...[30, 130, 230].map((x, n) => svg("g", {class: `far far-${n}`},
      svg("rect", {x, y: 62, width: 84, height: 110, rx: 6, class: "wall"}),
      svg("path", {d: `M${x - 4} 62h92l-8-26h-76z`, class: "roof"}),
      svg("rect", {x: x + 30, y: 118, width: 26, height: 54, rx: 3, class: "door"})))),
    svg("g", {class: "bot"},
      svg("path", {d: "M92 120h22l16 72h92", class: "frame"}),
      svg("path", {d: "M124 134h112l-10 46H136z", class: "basket"}),
      svg("rect", {x: 142, y: 104, width: 38, height: 34, rx: 4, class: "parcel a"}),
      svg("rect", {x: 184, y: 112, width: 32, height: 26, rx: 4, class: "parcel b"}),
      svg("rect", {x: 62, y: 88, width: 52, height: 38, rx: 12, class: "head"}),
      svg("circle", {cx: 78, cy: 107, r: 5, class: "eye"}), svg("circle", {cx: 98, cy: 107, r: 5, class: "eye"}),
      svg("path", {d: "M88 88V72", class: "frame"}), svg("circle", {cx: 88, cy: 68, r: 5, class: "tip"}),
      svg("circle", {cx: 142, cy: 206, r: 12, class: "wheel"}), svg("circle", {cx: 212, cy: 206, r: 12, class: "wheel"})));
  return {
    element: h("main.start", {}, h("div.start-words", {}, h("h1", {tabindex: -1}, "Shop the whole mall from here."),
      h("p", {}, "Choose from every store. A robot fetches it all. You collect one bag at the pickup desk."),
      h("button.button.primary.huge", {type: "button", on: {click: () => go("stores")}}, "Touch to start", icon("next"))), robot),
    refresh() {}, close() {},
  };
}

const again = h("button.button.plain.top", {type: "button", on: {click: home}}, icon("close"), "Start over");
const follow = h("button.button.plain.top", {type: "button", on: {click: () => go("locate")}}, icon("robot"), "Follow an order");

// --- Nobody there?
const warning = h("dialog.idle", {"aria-labelledby": "idle-title", on: {cancel: () => touch()}},
  h("div.idle-body", {}, h("div.idle-count.num", {"aria-hidden": "true"}), h("h2", {id: "idle-title"}, "Are you still there?"),
    h("p.quiet.idle-text", {role: "alert"}), h("button.button.primary.huge", {type: "button", on: {click: () => touch()}}, "I am still here")));

function touch() {
  touched_ms = Date.now();
  if (warning.open) warning.close();
}

function watch() {
  if (screenName === "start" || isPaying) { touched_ms = Date.now(); return; }
  const state = idleState(Date.now(), touched_ms, idle);
  if (state.phase === "over") {
    touch();
    home();
  } else if (state.phase === "warning") {
    warning.querySelector(".idle-count").textContent = String(state.seconds_left);
    if (!warning.open) {
      warning.querySelector(".idle-text").textContent = cart.isEmpty
        ? "Otherwise this screen is cleared for the next customer."
        : "Otherwise your cart is emptied for the next customer.";
      warning.showModal();
    }
  }
}

for (const event of ["pointerdown", "keydown", "wheel", "touchmove"]) {
  document.addEventListener(event, () => { if (!warning.open) touched_ms = Date.now(); }, {passive: true, capture: true});
}
document.addEventListener("contextmenu", (event) => event.preventDefault());

fill(app, h("header.bar", {}, h("div.brand", {}, h("img", {src: "/page/robot.svg", alt: "", width: 44, height: 44}), h("span", {}, "MallBots")),
  h("div.stretch"), follow, again), stage);
document.body.append(warning);
go("start");
setInterval(watch, 250);
