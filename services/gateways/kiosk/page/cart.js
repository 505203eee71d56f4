// The cart as the customer sees it: what the gateway said last, and what was touched since. Knows no document.
// Touches are sent one after another, absolute quantities, the newest of a product only; the total is the gateway's as soon
// as nothing is under way, until then it is marked as unsettled.

import {Problem} from "../../page/http.js";

export const kMostOfOne = 999;

/** Lines with what was touched laid over what the gateway said; a touched product that it does not know yet stands at the end. */
export function linesOf(cart, touched) {
  const lines = [];
  const seen = new Set();
  for (const item of cart?.items ?? []) {
    seen.add(item.product_id);
    const touch = touched.get(item.product_id);
    const quantity = touch ? touch.quantity : item.quantity;
    if (quantity > 0) lines.push({...item, quantity, amount: times(item.price, quantity)});
  }
  for (const [id, {product, quantity}] of touched) {
    if (seen.has(id) || quantity <= 0) continue;
    lines.push({product_id: id, product_name: product.name, store_id: product.store_id, store_name: product.store_name ?? "",
      quantity, price: product.price, amount: times(product.price, quantity)});
  }
  return lines;
}

export function times(price, quantity) {
  return {minor: price.minor * quantity, currency: price.currency};
}

export function sum(lines, currency = "GBP") {
  return {minor: lines.reduce((total, line) => total + line.amount.minor, 0), currency: lines[0]?.amount.currency ?? currency};
}

/** The review as rows to show: each item with what changed of it, then what vanished. */
export function reviewRows(cart, changes) {
  const of = new Map(changes.map((change) => [change.product_id, change]));
  const rows = (cart?.items ?? []).map((item) => ({...item, change: of.get(item.product_id) ?? null}));
  const vanished = changes.filter((change) => change.kind === "vanished")
    .map((change) => ({...change.before, change}));
  return [...vanished, ...rows];
}

export class Cart {
  /** changed(): something is different. failed(problem, product, isLost): a touch was refused; isLost: the whole cart is closed. */
  constructor({api, changed = () => {}, failed = () => {}}) {
    Object.assign(this, {api, changed, failed});
    this.forget();
  }

  forget() {
    this.generation = (this.generation ?? 0) + 1;
    this.cart = null;
    this.token = null;
    this.touched = new Map();
    this.running = null;
    this.starting = null;
  }

  get id() { return this.cart?.id ?? null; }
  get lines() { return linesOf(this.cart, this.touched); }
  get count() { return this.lines.reduce((total, line) => total + line.quantity, 0); }
  get isSettled() { return this.touched.size === 0; }
  get isEmpty() { return this.lines.length === 0; }
  get total() { return this.isSettled && this.cart ? this.cart.total : sum(this.lines, this.cart?.total.currency); }
  get secret() { return {"Cart-Token": this.token}; }

  quantityOf(product_id) {
    const touch = this.touched.get(product_id);
    if (touch) return touch.quantity;
    return this.cart?.items.find((item) => item.product_id === product_id)?.quantity ?? 0;
  }

  set(product, quantity) {
    const wanted = Math.max(0, Math.min(kMostOfOne, Math.trunc(quantity)));
    this.touched.set(product.id, {product, quantity: wanted});
    this.changed();
    return this.pump();
  }

  /** Sends what was touched until nothing is left. */
  pump() {
    this.running ??= this.run(this.generation).finally(() => { this.running = null; });
    return this.running;
  }

  async run(generation) {
    while (this.generation === generation && this.touched.size > 0) {
      const [id, touch] = this.touched.entries().next().value;
      try {
        if (!this.cart) await this.start(generation);
        const cart = await this.api.send("PUT", `/kiosk/v1/carts/${encodeURIComponent(this.id)}/items/${encodeURIComponent(id)}`,
          {quantity: touch.quantity}, {headers: this.secret});
        if (this.generation !== generation) return;
        this.cart = cart;
        if (this.touched.get(id) === touch) this.touched.delete(id);
      } catch (problem) {
        if (this.generation !== generation) return;
        this.touched.delete(id);
        const isLost = problem.type === "wrong-token" || await this.isClosed(problem);
        if (this.generation !== generation) return;
        if (isLost) this.forget();
        this.failed(problem, touch.product, isLost);
      }
      this.changed();
    }
  }

  /** A touch that meets the wrong state: of the product, or of the whole cart? */
  async isClosed(problem) {
    if (problem.status !== 409 || !this.cart) return false;
    try {
      const now = await this.api.get(`/kiosk/v1/carts/${encodeURIComponent(this.id)}`, {headers: this.secret});
      return now.state !== "open";
    } catch { return false; }
  }

  async start(generation) {
    const made = await this.api.send("POST", "/kiosk/v1/carts");
    if (this.generation !== generation) throw new Problem({status: 409, detail: "The cart was given up."});
    this.cart = made.cart;
    this.token = made.token;
  }

  /** Today's prices: {changed, changes, cart}. Waits for what is under way. */
  async review() {
    await this.running;
    if (!this.cart) return {changed: false, changes: [], cart: null}; // the only touch was refused
    const review = await this.api.send("POST", `/kiosk/v1/carts/${encodeURIComponent(this.id)}/review`, undefined, {headers: this.secret});
    this.cart = review.cart;
    this.changed();
    return review;
  }

  /** The order. The same key again for the same input: a second try finds the first. */
  async submit({phone, name, card_token, confirmed_total}, key) {
    try {
      return await this.api.send("POST", `/kiosk/v1/carts/${encodeURIComponent(this.id)}/submit`,
        {phone, name, card_token, confirmed_total}, {headers: this.secret, key});
    } catch (problem) {
      if (problem.body?.cart) {
        this.cart = problem.body.cart;
        this.changed();
      }
      throw problem;
    }
  }

  /** The customer goes away. What the gateway does not hear of now, it finds abandoned later. */
  drop() {
    const {id, secret} = this;
    this.forget();
    this.changed();
    if (id) return this.api.send("DELETE", `/kiosk/v1/carts/${encodeURIComponent(id)}`, undefined, {headers: secret}).catch(() => null);
    return Promise.resolve(null);
  }
}
