// A mall in memory that answers as the gateways do: enough of the rules for each view, state and refusal of the pages.

import {readFileSync} from "node:fs";
import {Board} from "./board.mjs";
import {gbp, makeCatalog, makeCustomers, masked, newId, random} from "./fixtures.mjs";

const kMap = new URL("../../../services/simulators/bots/mall.map", import.meta.url);
const kTerminal = ["completed", "rejected", "cancelled"];

export class Mall {
  constructor({stores = 12, products = 24, orders = 60, customers = 24, bots = 12, letters = 7, only = "", hostile = false, quiet = false, seed = 3} = {}) {
    this.next = random(seed);
    this.quiet = quiet; // nothing moves by itself
    this.only = only; // the state of all orders of the past
    Object.assign(this, makeCatalog({stores, products, hostile}));
    this.hostile = hostile;
    this.customers = makeCustomers({customers, hostile});
    this.carts = new Map();
    this.orders = new Map();
    this.lists = new Map();
    this.invoices = new Map();
    this.moments = new Map();
    this.events = [];
    this.board = new Board();
    this.rows = readFileSync(kMap, "utf8").trim().split("\n").slice(4);
    this.plan = {name: "mall", width: this.rows[0].length, height: this.rows.length, rows: this.rows};
    for (const store of this.stores) this.board.put("stores", store);
    this.makeBots(bots);
    for (let index = 0; index < orders; ++index) this.makeOrder(index, orders);
    this.makeOperations(letters);
    this.timers = quiet ? [] : [setInterval(() => this.drive(), 200), setInterval(() => this.sample(), 2000)];
  }

  close() { this.timers.forEach(clearInterval); this.timers.forEach(clearTimeout); this.board.close(); }

  later(ms, act) { if (!this.quiet) this.timers.push(setTimeout(act, ms)); }
  pick(rows) { return rows[Math.floor(this.next() * rows.length)]; }

  // --- Robots
  makeBots(count) {
    this.free = [];
    this.rows.forEach((row, y) => [...row].forEach((cell, x) => { if (cell === ".") this.free.push([x, y]); }));
    this.bots = new Map();
    for (let index = 0; index < count; ++index) {
      const [x, y] = this.free[Math.floor(this.next() * this.free.length)];
      const status = index % 11 === 7 ? "offline" : index % 3 === 1 ? "idle" : "active";
      const id = `bot-${String(index + 1).padStart(4, "0")}`;
      const bot = {id, name: this.hostile ? `<b>${id}</b>` : `Robot ${index + 1}`, status, list_id: "", order_id: "", x, y, at_ms: Date.now(), way: Math.floor(this.next() * 4)};
      this.bots.set(id, bot);
      this.board.put("bots", bot);
    }
  }

  drive() {
    const ways = [[1, 0], [0, 1], [-1, 0], [0, -1]];
    for (const bot of this.bots.values()) {
      if (bot.status !== "active") continue;
      for (let tries = 0; tries < 6; ++tries) {
        const [dx, dy] = ways[bot.way];
        if (this.next() > 0.12 && this.rows[bot.y + dy]?.[bot.x + dx] === ".") { bot.x += dx; bot.y += dy; break; }
        bot.way = Math.floor(this.next() * 4);
      }
      bot.at_ms = Date.now();
      const {way, ...row} = bot;
      this.board.put("bots", row);
    }
  }

  // --- Orders of the past
  makeOrder(index, count) {
    const created_ms = Date.now() - (count - index) * 47_000;
    const shelf = this.products.length ? this.products : [];
    if (!shelf.length || !this.customers.length) return;
    const lines = Array.from({length: 1 + Math.floor(this.next() * 5)}, () => {
      const product = this.pick(shelf);
      return {product, quantity: 1 + Math.floor(this.next() * 4)};
    });
    const states = index < count * 0.6 ? ["completed", "completed", "completed", "completed", "cancelled", "rejected"]
      : ["approved", "in-progress", "in-progress", "ready", "ready", "pending", "at-depot"];
    const status = this.only || (index === count - 1 ? "at-depot" : this.pick(states));
    this.place({id: newId(this.next), customer: this.pick(this.customers), lines, created_ms, status});
  }

  place({id, customer, lines, created_ms = Date.now(), status = "pending", card = "tok_visa_4242"}) {
    const store = (id) => this.stores.find((row) => row.id === id);
    const order = {id, status: status === "at-depot" ? "in-progress" : status, customer, card, created_ms, updated_ms: created_ms, reason: "",
      paid: status === "completed", cancelable: true, shopping_id: newId(this.next),
      lines: lines.map(({product, quantity}) => ({product_id: product.id, product_name: product.name, store_id: product.store_id,
        store_name: store(product.store_id)?.name ?? "", price: product.price, quantity}))};
    order.total = gbp(order.lines.reduce((sum, line) => sum + line.price.minor * line.quantity, 0));
    if (status === "rejected") order.reason = "The customer is disabled";
    if (status === "cancelled") order.reason = this.hostile ? "<script>window.__hit=1</script>" : "The customer changed their mind";
    this.orders.set(id, order);
    this.moments.set(id, []);
    this.tell(order, "OrderCreated", created_ms, `${lines.length} lines, ${order.total.minor / 100}`);
    if (status !== "rejected" && status !== "pending") this.accept(order, created_ms + 400);
    if (["in-progress", "at-depot", "ready", "completed"].includes(status)) this.shop(order, status, created_ms);
    if (["ready", "completed"].includes(status)) this.count(order, null, created_ms + 150_000);
    if (status === "completed") {
      this.tell(order, "InvoicePaid", created_ms + 190_000, "card");
      this.tell(order, "OrderCompleted", created_ms + 200_000, "");
      this.settle(order, "card");
    }
    if (status === "rejected") this.tell(order, "OrderRejected", created_ms + 500, order.reason);
    if (status === "cancelled") this.tell(order, "OrderCanceled", created_ms + 60_000, order.reason);
    order.status = status === "at-depot" ? "in-progress" : status;
    this.show(order);
    return order;
  }

  tell(order, what, at_ms, detail) {
    this.moments.get(order.id).push({what, at_ms, detail: String(detail)});
    order.updated_ms = at_ms;
  }

  accept(order, at_ms = Date.now()) {
    order.status = "approved";
    this.tell(order, "OrderApproved", at_ms, "");
    this.invoices.set(order.id, {id: order.id, state: "pending", first_amount: order.total, amount: order.total, adjustment: gbp(0), paid: gbp(0), paid_by: ""});
    const stops = new Map();
    for (const line of order.lines) {
      const store = this.stores.find((row) => row.id === line.store_id);
      if (!stops.has(line.store_id)) stops.set(line.store_id, {store_id: line.store_id, store_name: line.store_name, store_location: store?.location ?? "", state: "waiting", items: []});
      stops.get(line.store_id).items.push({product_id: line.product_id, product_name: line.product_name, quantity: line.quantity, picked: 0});
    }
    this.lists.set(order.shopping_id, {id: order.shopping_id, order_id: order.id, status: "available", phase: "", bot_id: "", stops: [...stops.values()], counted: []});
    this.show(order);
  }

  shop(order, status, at_ms = Date.now()) {
    const list = this.lists.get(order.shopping_id);
    const bot = this.pick([...this.bots.values()].filter((row) => row.status !== "offline")) ?? {id: ""};
    order.status = "in-progress";
    list.status = "active";
    list.bot_id = bot.id;
    bot.list_id = list.id;
    bot.order_id = order.id;
    this.tell(order, "ShoppingListAssigned", at_ms + 20_000, bot.id);
    this.tell(order, "OrderStarted", at_ms + 21_000, "");
    const isBack = status !== "in-progress";
    list.phase = isBack ? "at-depot" : "shopping";
    list.stops.forEach((stop, index) => {
      if (!isBack && index > 0) return;
      stop.state = isBack ? "done" : "arrived";
      stop.items.forEach((item) => { item.picked = isBack ? item.quantity - (this.next() < 0.12 ? 1 : 0) : 0; });
      this.tell(order, "BotArrivedAtStore", at_ms + 40_000 + index * 20_000, stop.store_name);
    });
    if (isBack) this.tell(order, "BotArrivedAtDepot", at_ms + 140_000, bot.id);
    this.show(order);
  }

  /** counted: null takes what the robot reported. */
  count(order, counted, at_ms = Date.now()) {
    const list = this.lists.get(order.shopping_id);
    const picked = list.stops.flatMap((stop) => stop.items.map((item) => ({product_id: item.product_id, quantity: item.picked})));
    list.counted = (counted ?? picked).filter((row) => row.quantity > 0);
    list.status = "completed";
    list.phase = "";
    const left = new Map(list.counted.map((row) => [row.product_id, row.quantity]));
    for (const line of order.lines) line.quantity = Math.min(line.quantity, left.get(line.product_id) ?? 0);
    order.lines = order.lines.filter((line) => line.quantity > 0);
    order.total = gbp(order.lines.reduce((sum, line) => sum + line.price.minor * line.quantity, 0));
    const invoice = this.invoices.get(order.id);
    invoice.amount = order.total;
    invoice.adjustment = gbp(order.total.minor - invoice.first_amount.minor);
    this.tell(order, "ShoppingListInventoried", at_ms, `${list.counted.length} products`);
    if (!order.lines.length) return this.cancel(order, "Nothing could be fetched");
    order.status = "ready";
    this.tell(order, "OrderReadied", at_ms + 200, "");
    this.show(order);
  }

  settle(order, by) {
    const invoice = this.invoices.get(order.id);
    Object.assign(invoice, {state: "paid", paid: invoice.amount, paid_by: by});
    order.paid = true;
    this.show(order);
  }

  cancel(order, reason) {
    order.status = "cancelled";
    order.reason = reason;
    const invoice = this.invoices.get(order.id);
    if (invoice) invoice.state = order.paid ? "refunded" : "canceled";
    const list = this.lists.get(order.shopping_id);
    if (list) Object.assign(list, {status: "canceled", phase: ""});
    this.tell(order, "OrderCanceled", Date.now(), reason);
    this.show(order);
  }

  show(order) {
    this.board.put("orders", this.orderRow(order));
    this.board.put(`order:${order.id}`, {...this.orderRow(order), moments: this.moments.get(order.id)});
    const list = this.lists.get(order.shopping_id);
    if (list) this.board.put("lists", this.listRow(list, order));
    const invoice = this.invoices.get(order.id);
    if (invoice) this.board.put("invoices", {...invoice, refunded: gbp(0), updated_ms: order.updated_ms});
  }

  listRow(list, order) {
    const items = list.stops.flatMap((stop) => stop.items);
    const at = list.stops.find((stop) => stop.state === "arrived");
    return {id: list.id, order_id: list.order_id, status: list.status, phase: list.phase, bot_id: list.bot_id, store_id: at?.store_id ?? "",
      stores_done: list.stops.filter((stop) => stop.state === "done").length, picked: items.reduce((sum, item) => sum + item.picked, 0),
      unavailable: items.reduce((sum, item) => sum + (list.phase === "at-depot" ? item.quantity - item.picked : 0), 0), updated_ms: order.updated_ms};
  }

  orderRow(order) {
    return {id: order.id, status: order.status, customer_id: order.customer.id, customer_name: order.customer.name, total: order.total,
      line_count: order.lines.length, store_ids: [...new Set(order.lines.map((line) => line.store_id))], shopping_id: order.shopping_id,
      bot_id: this.lists.get(order.shopping_id)?.bot_id ?? "", invoice_state: this.invoices.get(order.id)?.state ?? "", paid: order.paid,
      reason: order.reason, created_ms: order.created_ms, updated_ms: order.updated_ms};
  }

  orderWhole(order) {
    return {id: order.id, status: order.status, customer_id: order.customer.id, customer_name: order.customer.name, lines: order.lines, total: order.total,
      paid: order.paid, reason: order.reason, shopping_id: order.shopping_id, invoice: this.invoices.get(order.id) ?? null,
      list: this.lists.get(order.shopping_id) ?? null, created_ms: order.created_ms};
  }

  pickup(order) {
    const can_pay = !kTerminal.includes(order.status) && order.status !== "pending" && !order.paid;
    const can_release = order.status === "ready" && order.paid;
    const why_not = can_pay || can_release ? "" : order.status === "completed" ? "The items were handed over."
      : kTerminal.includes(order.status) ? `The order is ${order.status}.` : order.paid ? "The items are not at the depot yet." : "The order is not approved yet.";
    return {order: this.orderWhole(order), customer: {...order.customer, sms_number: masked(order.customer.sms_number)}, can_pay, can_release, why_not};
  }

  /** What becomes of an order that a kiosk submitted. */
  fulfil(order) {
    this.later(1500, () => order.status === "pending" && this.accept(order));
    this.later(4000, () => order.status === "approved" && this.shop(order, "in-progress"));
    this.later(8000, () => order.status === "in-progress" && this.shop(order, "at-depot"));
  }

  // --- Operations
  makeOperations(letters) {
    const ops = (row) => this.board.put("ops", row);
    const names = ["mallbots.orders.events.Order", "mallbots.orders.events.Cart", "mallbots.stores.events.Store", "mallbots.stores.events.Product",
      "mallbots.depot.events", "mallbots.payments.events", "mallbots.fleet.positions", "mallbots.orders.commands", "mallbots.depot.commands", "mallbots.customers.commands"];
    names.forEach((name, index) => ops({id: `topic:${name}`, kind: "topic", name, partitions: 1 + (index % 4), records: 1200 * (index + 1) ** 2, records_per_s: index * 3.4,
      disk_bytes: 1 << (18 + index), memory_bytes: 1 << 22}));
    ["orders", "depot", "payments", "search", "notifications", "analytics"].forEach((group, index) => ops({id: `group:${group}`, kind: "group", group,
      is_queue: index === 4, members: index === 5 ? 0 : 1 + (index % 2), lag: [0, 0, 3, 12, 0, 48_210][index], lag_time_ms: [0, 0, 40, 220, 0, 754_000][index],
      partitions: [{topic: names[index], partition: 0, current_offset: 1000, end_offset: 1012, lag: 12, lag_time_ms: 220, member: `${group}-1`}]}));
    ["orders", "depot", "payments", "customers", "stores"].forEach((service, index) => ops({id: `outbox:${service}`, kind: "outbox", service, waiting: index === 2 ? 4 : 0, oldest_ms: index === 2 ? 1800 : 0}));
    this.letters = Array.from({length: letters}, (_, index) => ({id: `L${index + 1}`, message_id: newId(this.next), name: "payments.InvoicePaid", key: newId(this.next), state: "left",
      reason: this.hostile ? "<img src=x onerror=window.__hit=1>" : "handler failed 8 times", error: this.hostile ? "<img src=x onerror=window.__hit=1>" : index % 2 ? "the order is rejected: a paid invoice of it makes no sense" : "database is locked",
      handler: "orders.on_invoice_paid", attempts: "8", died_ms: Date.now() - index * 91_000, payload_bytes: 212 + index}));
    this.showLetters();
    if (letters) ops({id: "saga:4f2a91c2", kind: "saga", step: "confirm payment", reason: "payments does not answer", updated_ms: Date.now() - 95_000});
    ops({id: "status", kind: "status", version: "1.4.0", uptime_ms: 5_123_000, topics: names.length, partitions: 24, sessions: 11, groups: 6, memory_bytes: 96 << 20,
      memory_max_bytes: 512 << 20, disk_bytes: 640 << 20, disk_free_bytes: 80 * 2 ** 30, viewers: 2, behind: 0});
    this.series = this.makeSeries();
    this.sample();
  }

  makeSeries() {
    const of = (base, swing) => Array.from({length: 180}, (_, index) => Math.max(0, base + swing * Math.sin(index / 13) + swing * (this.next() - 0.5)));
    const rows = [["orders_created", "per second", of(1.8, 0.9)], ["orders_completed", "per second", of(1.4, 0.8)], ["orders_closed_otherwise", "per second", of(0.12, 0.1)],
      ["approve_p50", "seconds", of(0.08, 0.02)], ["approve_p99", "seconds", of(0.31, 0.18)], ["fetch_p50", "seconds", of(64, 14)], ["fetch_p99", "seconds", of(141, 40)],
      ["events", "per second", of(640, 180)], ["lag", "records", of(40, 38)], ["bots_active", "robots", of(8, 4)]];
    return {step_ms: 5000, first_ms: Date.now() - 900_000, series: rows.map(([name, unit, values]) => ({name, unit, values}))};
  }

  sample() {
    const values = {};
    for (const series of this.series.series) {
      const value = Math.max(0, series.values.at(-1) * (0.9 + this.next() * 0.2));
      series.values.push(value);
      series.values.shift();
      values[series.name] = value;
    }
    this.series.first_ms += 2000;
    this.board.put("ops", {id: "sample", kind: "sample", at_ms: Date.now(), values});
  }

  showLetters() {
    const left = this.letters.filter((letter) => letter.state === "left").length;
    this.board.put("ops", {id: "letters:orders:mallbots.payments.events", kind: "letters", group: "orders", topic: "mallbots.payments.events", left, done: this.letters.length - left});
  }
}
