import assert from "node:assert/strict";
import test from "node:test";
import {Problem} from "../../../services/gateways/page/http.js";
import {Cart, linesOf, reviewRows} from "../../../services/gateways/kiosk/page/cart.js";
import {phoneOf} from "../../../services/gateways/kiosk/page/details.js";
import {idleSettings, idleState} from "../../../services/gateways/kiosk/page/idle.js";
import {progressOf, queueWords} from "../../../services/gateways/kiosk/page/order.js";
import {initials} from "../../../services/gateways/kiosk/page/parts.js";
import {changeWords} from "../../../services/gateways/kiosk/page/review.js";
import {matching} from "../../../services/gateways/kiosk/page/shop.js";

const gbp = (minor) => ({minor, currency: "GBP"});
const tea = {id: "tea", name: "Tea", store_id: "s1", store_name: "Kettle", price: gbp(250)};
const cup = {id: "cup", name: "Cup", store_id: "s1", store_name: "Kettle", price: gbp(995)};

/** A gateway with one cart, that counts and can be told to refuse. */
function gateway() {
  const goods = {tea, cup};
  const state = {items: new Map(), asked: [], refuse: null, hold: null};
  const view = () => {
    const items = [...state.items].map(([id, quantity]) => ({product_id: id, product_name: goods[id].name, store_id: "s1", store_name: "Kettle", quantity, price: goods[id].price, amount: gbp(goods[id].price.minor * quantity)}));
    return {id: "C1", state: "open", items, total: gbp(items.reduce((sum, item) => sum + item.amount.minor, 0))};
  };
  state.api = {send: async (method, path, body, options) => {
    state.asked.push({method, path, body, options});
    if (state.hold) await state.hold;
    if (state.refuse) throw state.refuse;
    if (path === "/kiosk/v1/carts") return {cart: view(), token: "T"};
    if (method === "DELETE") return view();
    const id = path.split("/").at(-1);
    if (body.quantity) state.items.set(id, body.quantity); else state.items.delete(id);
    return view();
  }};
  return state;
}

test("the first touch starts a cart, with its secret on every call", async () => {
  const kiosk = gateway();
  const cart = new Cart({api: kiosk.api});
  await cart.set(tea, 2);
  assert.deepEqual(kiosk.asked.map((one) => `${one.method} ${one.path}`), ["POST /kiosk/v1/carts", "PUT /kiosk/v1/carts/C1/items/tea"]);
  assert.equal(kiosk.asked[1].options.headers["Cart-Token"], "T");
  assert.equal(cart.total.minor, 500);
  assert.ok(cart.isSettled);
});

test("what is touched shows at once and is marked until the gateway said so", async () => {
  const kiosk = gateway();
  const cart = new Cart({api: kiosk.api});
  const sent = cart.set(tea, 3);
  assert.equal(cart.quantityOf("tea"), 3);
  assert.equal(cart.total.minor, 750);
  assert.ok(!cart.isSettled);
  await sent;
  assert.ok(cart.isSettled);
});

test("ten quick touches send only the last quantity", async () => {
  const kiosk = gateway();
  let release;
  kiosk.hold = new Promise((resolve) => { release = resolve; });
  const cart = new Cart({api: kiosk.api});
  const sent = cart.set(tea, 1);
  for (let quantity = 2; quantity <= 10; ++quantity) cart.set(tea, quantity);
  release();
  kiosk.hold = null;
  await sent;
  const puts = kiosk.asked.filter((one) => one.method === "PUT").map((one) => one.body.quantity);
  assert.equal(puts.at(-1), 10);
  assert.ok(puts.length <= 2);
  assert.equal(cart.total.minor, 2500);
});

test("a refused touch is taken back and told", async () => {
  const kiosk = gateway();
  const told = [];
  const cart = new Cart({api: kiosk.api, failed: (problem, product) => told.push([problem.detail, product.id])});
  await cart.set(tea, 1);
  kiosk.refuse = new Problem({status: 409, detail: "Kettle does not take part"});
  await cart.set(cup, 1);
  assert.deepEqual(told, [["Kettle does not take part", "cup"]]);
  assert.equal(cart.quantityOf("cup"), 0);
  assert.equal(cart.total.minor, 250);
});

test("a cart that was closed meanwhile is given up, one whose product is refused is not", async () => {
  const kiosk = gateway();
  const told = [];
  const cart = new Cart({api: kiosk.api, failed: (problem, product, isLost) => told.push(isLost)});
  await cart.set(tea, 1);
  kiosk.refuse = new Problem({status: 409, type: "urn:mallbots:problem:wrong-state", detail: "the cart toy is not sold"});
  kiosk.api.get = async () => ({state: "open"});
  await cart.set(cup, 1);
  assert.equal(cart.id, "C1");
  kiosk.api.get = async () => ({state: "canceled"});
  await cart.set(cup, 1);
  assert.deepEqual(told, [false, true]);
  assert.equal(cart.id, null);
});

test("a cart that is dropped meanwhile does not come back", async () => {
  const kiosk = gateway();
  let release;
  kiosk.hold = new Promise((resolve) => { release = resolve; });
  const cart = new Cart({api: kiosk.api});
  const sent = cart.set(tea, 1);
  cart.drop();
  release();
  await sent;
  assert.ok(cart.isEmpty);
  assert.equal(cart.id, null);
});

test("quantities stay whole and within bounds", () => {
  const cart = new Cart({api: gateway().api});
  cart.set(tea, -3);
  assert.equal(cart.quantityOf("tea"), 0);
  cart.set(tea, 5000.7);
  assert.equal(cart.quantityOf("tea"), 999);
});

test("a refused submit brings the cart as it is now", async () => {
  const now = {id: "C1", state: "open", items: [], total: gbp(0)};
  const cart = new Cart({api: {send: async () => { throw new Problem({status: 409, type: "urn:mallbots:problem:cart-changed", body: {cart: now, changes: []}}); }}});
  cart.cart = {...now, total: gbp(500)};
  await assert.rejects(cart.submit({}, "k".repeat(16)), (problem) => problem.type === "cart-changed");
  assert.equal(cart.total.minor, 0);
});

test("lines: what was touched lies over what the gateway said", () => {
  const cart = {items: [{product_id: "tea", quantity: 1, price: gbp(250), amount: gbp(250)}], total: gbp(250)};
  assert.deepEqual(linesOf(cart, new Map([["tea", {product: tea, quantity: 0}]])), []);
  assert.equal(linesOf(cart, new Map([["cup", {product: cup, quantity: 2}]])).length, 2);
});

test("a review shows what vanished first, and says what changed", () => {
  const before = {product_id: "tea", product_name: "Tea", price: gbp(250), amount: gbp(250)};
  const changes = [{kind: "vanished", product_id: "tea", before, now: null}, {kind: "price", product_id: "cup", before: {...before, price: gbp(900)}, now: {price: gbp(995)}}];
  const rows = reviewRows({items: [{product_id: "cup"}, {product_id: "jam"}]}, changes);
  assert.deepEqual(rows.map((row) => row.product_id), ["tea", "cup", "jam"]);
  assert.equal(changeWords(rows[1].change), "Now dearer: was £9.00");
  assert.equal(changeWords(rows[2].change), null);
  assert.match(changeWords(rows[0].change), /taken out/);
});

test("nobody there: first a warning that counts down, then over", () => {
  const settings = {idle_ms: 60_000, warning_ms: 20_000};
  assert.equal(idleState(59_999, 0, settings).phase, "active");
  assert.deepEqual(idleState(60_000, 0, settings), {phase: "warning", seconds_left: 20});
  assert.deepEqual(idleState(79_500, 0, settings), {phase: "warning", seconds_left: 1});
  assert.equal(idleState(80_000, 0, settings).phase, "over");
  assert.deepEqual(idleSettings("?idle=5&warning=3"), {idle_ms: 5000, warning_ms: 3000});
  assert.deepEqual(idleSettings("?idle=-1&warning=x"), {idle_ms: 75_000, warning_ms: 20_000});
});

test("a phone number has its country", () => {
  assert.equal(phoneOf("+44 20 7946-0958"), "+442079460958");
  assert.equal(phoneOf("0044 (20) 79460958"), "+442079460958");
  assert.equal(phoneOf("+44 020 7946 0958"), "+442079460958"); // the zero of calls within the country
  assert.equal(phoneOf("+44"), null);
  assert.equal(phoneOf("020 7946 0958"), null);
});

test("how far an order is", () => {
  assert.deepEqual(progressOf({status: "in-progress"}).map((step) => step.state), ["done", "done", "now", "later", "later"]);
  assert.ok(progressOf({status: "completed"}).every((step) => step.state === "done"));
  assert.equal(queueWords({ahead: 0, more: false}), "You are next.");
  assert.equal(queueWords({ahead: 200, more: true}), "More than 200 orders before yours.");
  assert.equal(queueWords(null), null);
});

test("a store's two letters are those of its first two words", () => {
  assert.deepEqual(["The Copper Kettle", "Paper & Twine", "Kettle", "  ", "& Sons"].map(initials), ["TC", "PT", "KE", "?", "S&"]);
});

test("a search finds rows with all of its words", () => {
  const rows = [{name: "White hanging heart"}, {name: "Black heart bag"}];
  assert.equal(matching(rows, "HEART wh").length, 1);
  assert.equal(matching(rows, " ").length, 2);
});
