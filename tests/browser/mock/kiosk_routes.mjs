// The kiosk gateway of the mock: services/gateways/kiosk/openapi.json.

import {gbp, newId} from "./fixtures.mjs";
import {Refusal} from "./server.mjs";

const amount = (line) => ({...line, amount: gbp(line.price.minor * line.quantity)});
const totalOf = (items) => gbp(items.reduce((sum, item) => sum + item.price.minor * item.quantity, 0));
const cartView = (cart) => ({id: cart.id, state: cart.state, items: cart.items.map(amount), total: totalOf(cart.items)});

function paged(rows, query, field) {
  const from = Number(query.get("cursor") ?? 0);
  const limit = Number(query.get("limit") ?? 50);
  return [200, {[field]: rows.slice(from, from + limit), next: from + limit < rows.length ? String(from + limit) : null}];
}

function cartOf({mall, id, headers}) {
  const cart = mall.carts.get(id);
  if (!cart || cart.token !== headers["cart-token"]) throw new Refusal(403, "wrong-token", "The cart's token is missing or another cart's.");
  return cart;
}

function orderView(mall, order) {
  const waiting = [...mall.orders.values()].filter((other) => ["pending", "approved"].includes(other.status) && other.created_ms < order.created_ms).length;
  return {id: order.id, status: order.status, items: order.lines.map(amount), total: order.total, paid: order.paid,
    cancelable: ["pending", "approved", "in-progress"].includes(order.status), reason: order.reason || null,
    queue: ["pending", "approved"].includes(order.status) ? {ahead: waiting, more: false} : null};
}

function orderOfCard({mall, id, body}) {
  const order = mall.orders.get(id);
  if (!order || order.card !== body?.card_token) throw new Refusal(403, "wrong-card", "This is not the card that the order was submitted with.");
  return order;
}

function reviewed(mall, cart) {
  const changes = [];
  for (const item of [...cart.items]) {
    const product = mall.products.find((row) => row.id === item.product_id);
    const store = mall.stores.find((row) => row.id === item.store_id);
    const before = amount({...item});
    if (!product || store.participation !== "participating") {
      cart.items.splice(cart.items.indexOf(item), 1);
      changes.push({kind: "vanished", product_id: item.product_id, before, now: null});
    } else if (product.price.minor !== item.price.minor || product.name !== item.product_name) {
      const kind = product.price.minor !== item.price.minor ? "price" : "name";
      Object.assign(item, {price: product.price, product_name: product.name});
      changes.push({kind, product_id: item.product_id, before, now: amount({...item})});
    }
  }
  return {changed: changes.length > 0, changes, cart: cartView(cart)};
}

const open = (mall) => mall.stores.filter((store) => store.participation === "participating").sort((a, b) => a.name.localeCompare(b.name))
  .map(({id, name, location}) => ({id, name, location}));

export const kioskRoutes = [
  ["GET", /^\/kiosk\/v1\/stores$/, ({mall, query}) => paged(open(mall), query, "stores")],
  ["GET", /^\/kiosk\/v1\/stores\/([^/]+)\/products$/, ({mall, id, query}) => {
    if (!open(mall).some((store) => store.id === id)) throw new Refusal(404, "unknown", "There is no such store.");
    return paged(mall.products.filter((product) => product.store_id === id), query, "products");
  }],
  ["POST", /^\/kiosk\/v1\/carts$/, ({mall}) => {
    const cart = {id: newId(mall.next), token: newId(mall.next), state: "open", items: []};
    mall.carts.set(cart.id, cart);
    return [201, {cart: cartView(cart), token: cart.token}];
  }],
  ["GET", /^\/kiosk\/v1\/carts\/([^/]+)$/, (ask) => [200, cartView(cartOf(ask))]],
  ["DELETE", /^\/kiosk\/v1\/carts\/([^/]+)$/, (ask) => {
    const cart = cartOf(ask);
    cart.state = "canceled";
    return [200, cartView(cart)];
  }],
  ["PUT", /^\/kiosk\/v1\/carts\/([^/]+)\/items\/([^/]+)$/, (ask) => {
    const {mall, id2, body} = ask;
    const cart = cartOf(ask);
    if (cart.state !== "open") throw new Refusal(409, "wrong-state", `The cart is ${cart.state}.`);
    const product = mall.products.find((row) => row.id === id2);
    if (!product) throw new Refusal(404, "unknown", "There is no such product.");
    const store = mall.stores.find((row) => row.id === product.store_id);
    if (store.participation !== "participating") throw new Refusal(409, "wrong-state", `${store.name} does not take part at present.`);
    const item = cart.items.find((row) => row.product_id === id2);
    if (body.quantity === 0) cart.items = cart.items.filter((row) => row !== item);
    else if (item) item.quantity = body.quantity;
    else cart.items.push({product_id: product.id, product_name: product.name, store_id: store.id, store_name: store.name, quantity: body.quantity, price: product.price});
    return [200, cartView(cart)];
  }],
  ["POST", /^\/kiosk\/v1\/carts\/([^/]+)\/review$/, (ask) => {
    const cart = cartOf(ask);
    if (cart.state !== "open") throw new Refusal(409, "wrong-state", `The cart is ${cart.state}.`);
    return [200, reviewed(ask.mall, cart)];
  }],
  ["POST", /^\/kiosk\/v1\/carts\/([^/]+)\/submit$/, (ask) => {
    const {mall, mock, body, headers} = ask;
    const cart = cartOf(ask);
    const key = headers["idempotency-key"];
    if (!key) throw new Refusal(400, "invalid", "Idempotency-Key is missing.");
    if (cart.order) return [201, orderView(mall, cart.order)];
    const review = reviewed(mall, cart);
    if (review.changed) throw new Refusal(409, "cart-changed", "Prices have changed.", {cart: review.cart, changes: review.changes});
    if (review.cart.total.minor !== body.confirmed_total.minor) throw new Refusal(409, "stale-total", "Another total.", {cart: review.cart});
    if (body.card_token.startsWith("tok_declined")) throw new Refusal(403, "declined", "The card was declined.");
    let customer = mall.customers.find((row) => row.sms_number === body.phone);
    if (!customer) mall.customers.push(customer = {id: newId(mall.next), name: body.name, sms_number: body.phone, enabled: true});
    cart.order = mall.place({id: cart.id, customer, card: body.card_token,
      lines: cart.items.map((item) => ({product: mall.products.find((row) => row.id === item.product_id), quantity: item.quantity}))});
    if (!mock.hold) mall.fulfil(cart.order);
    return [201, orderView(mall, cart.order)];
  }],
  ["GET", /^\/kiosk\/v1\/orders\/([^/]+)$/, ({mall, id, headers}) => {
    const order = mall.orders.get(id);
    const cart = mall.carts.get(id);
    if (!order || (cart ? cart.token : `located-${id}`) !== headers["cart-token"]) throw new Refusal(403, "wrong-token", "Another order's token.");
    return [200, orderView(mall, order)];
  }],
  ["POST", /^\/kiosk\/v1\/orders\/([^/]+)\/locate$/, (ask) => {
    const order = orderOfCard(ask);
    return [200, {order: orderView(ask.mall, order), token: ask.mall.carts.get(order.id)?.token ?? `located-${order.id}`}];
  }],
  ["POST", /^\/kiosk\/v1\/orders\/([^/]+)\/cancel$/, (ask) => {
    const order = orderOfCard(ask);
    if (!orderView(ask.mall, order).cancelable) throw new Refusal(409, "wrong-state", `The order is ${order.status}.`);
    ask.mall.cancel(order, "Cancelled by the customer");
    return [200, orderView(ask.mall, order)];
  }],
  ["POST", /^\/kiosk\/v1\/orders\/([^/]+)\/pay$/, (ask) => {
    const order = orderOfCard(ask);
    ask.mall.settle(order, "card");
    return [200, orderView(ask.mall, order)];
  }],
];
