// A real mall of the tests' own: broker, services, both gateways and simulated robots, in new folders and on free ports, ended with them.
// MALL_BIN says where the programs are (tests/check/browser.sh).

import {spawn, spawnSync} from "node:child_process";
import {mkdirSync, mkdtempSync, rmSync} from "node:fs";
import {connect, createServer} from "node:net";
import {tmpdir} from "node:os";
import {join} from "node:path";

const kPassword = "a staff's password";
const kRoles = ["store-owner", "store-admin", "depot-staff", "depot-admin"];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Text that would run or draw something if any page took it for markup. */
export const hostile = (what) => `${what} <img src=x onerror=window.__hit=1><script>window.__hit=1</script>"'&lt;b>`;

/** An answer that is no success, with what was asked. */
export class Refused extends Error {
  constructor(method, url, status, text) {
    super(`${method} ${url}: ${status} ${text}`);
    this.status = status;
  }
}

async function ask(method, url, body, headers = {}) {
  for (let tries = 0;; ++tries) {
    const answer = await fetch(url, {method, body: body === undefined ? undefined : JSON.stringify(body),
      headers: {...(body === undefined ? {} : {"Content-Type": "application/json"}), ...headers}});
    const text = await answer.text();
    if (answer.ok) return {body: text ? JSON.parse(text) : null, headers: answer.headers};
    if (![429, 503].includes(answer.status) || tries > 60) throw new Refused(method, url, answer.status, text);
    await pause(500);
  }
}

/** What no order leaves again. */
const kOver = ["rejected", "completed", "cancelled"];

export class RealMall {
  static async open({bots = 40, speed = 200} = {}) {
    const mall = new RealMall();
    mall.bin = process.env.MALL_BIN;
    mall.dir = mkdtempSync(join(tmpdir(), "mallbots-page."));
    mkdirSync(join(mall.dir, "mall"), {mode: 0o700});
    mall.place = ["--runtime-dir", join(mall.dir, "run"), "--data-dir", join(mall.dir, "mall")];
    for (const role of kRoles) mall.hire(role, role, ...(role === "store-owner" ? ["--store", "owners-store"] : []));
    // It ends with this process, however that ends.
    mall.child = spawn("setpriv", ["--pdeathsig", "TERM", join(mall.bin, "mall"), "up", ...mall.place, "--bots", String(bots), "--speed", String(speed),
      "--set", "bots.unavailable=0"]); // else one order in a hundred finds nothing and is cancelled
    let said = "";
    mall.ended = new Promise((resolve) => mall.child.on("exit", resolve));
    await new Promise((resolve, reject) => {
      const hear = (piece) => {
        said += piece;
        if (said.includes("Ctrl-C closes it")) resolve();
      };
      mall.child.stdout.on("data", hear);
      mall.child.stderr.on("data", hear);
      mall.child.on("exit", () => reject(new Error(`the mall did not open: ${said}`)));
    });
    const address = (name) => new RegExp(`^  ${name}\\s+(http://[^/\\s]+)`, "m").exec(said)[1];
    mall.kiosk = address("kiosk");
    mall.admin = address("admin");
    mall.boss = await mall.signedIn("boss", "store-admin", "depot-admin");
    return mall;
  }

  async close() {
    this.child.kill("SIGTERM");
    const isOver = await Promise.race([this.ended.then(() => true), pause(20_000).then(() => false)]);
    if (!isOver) this.child.kill("SIGKILL");
    rmSync(this.dir, {recursive: true, force: true});
    if (!isOver) throw new Error("the mall did not end by itself");
  }

  hire(name, ...options) {
    const roles = options.flatMap((role) => (role.startsWith("--") || !kRoles.includes(role) ? [role] : ["--role", role]));
    const {status, stderr} = spawnSync(join(this.bin, "mall"), ["staff", "add", name, ...roles, "--password", ...this.place], {input: kPassword, encoding: "utf8"});
    if (status !== 0) throw new Error(`${name} cannot be hired: ${stderr}`);
  }

  /** Somebody of the staff, without a page: send(method, path, body). */
  async signedIn(name, ...roles) {
    if (roles.length) this.hire(name, ...roles);
    const {headers} = await ask("POST", `${this.admin}/admin/v1/session`, {name, password: kPassword});
    const Cookie = headers.get("set-cookie").split(";")[0];
    return {Cookie, send: async (method, path, body) => (await ask(method, `${this.admin}/admin/v1/${path}`, body,
      {Cookie, ...(method === "GET" ? {} : {"Idempotency-Key": crypto.randomUUID()})})).body};
  }

  async store({id, name = id, location = "5,4", products = []}) {
    await this.boss.send("POST", "stores", {id, name, location});
    await this.boss.send("POST", `stores/${id}/participation`);
    const rows = products.map((product, index) => ({id: `${id}-${index}`, sku: `SKU-${index}`, price: {minor: 250, currency: "GBP"}, ...product}));
    await inTurns(rows, 8, (row) => this.boss.send("POST", `stores/${id}/products`, row));
    return {id, name, products: rows.map((row) => ({...row, store_id: id}))};
  }

  /** An order as a kiosk sends it; resolves to {id, token}. */
  async order({products, quantity = 1, name = "Zoe", phone, card_token = "tok_visa_4242"}) {
    const at = `${this.kiosk}/kiosk/v1/carts`;
    const {cart, token} = (await ask("POST", at, undefined)).body;
    const headers = {"Cart-Token": token};
    for (const product of products) await ask("PUT", `${at}/${cart.id}/items/${product.id}`, {quantity}, headers);
    const review = (await ask("POST", `${at}/${cart.id}/review`, undefined, headers)).body;
    await ask("POST", `${at}/${cart.id}/submit`, {phone, name, card_token, confirmed_total: review.cart.total}, {...headers, "Idempotency-Key": crypto.randomUUID()});
    return {id: cart.id, token};
  }

  orderNow(id) { return this.boss.send("GET", `orders/${id}`); }

  async until(id, status, patience_ms = 120_000) {
    for (const end = Date.now() + patience_ms; ; await pause(250)) {
      const order = await this.orderNow(id).catch((refused) => ({status: refused.message}));
      if (order.status === status) return order;
      if (Date.now() > end || kOver.includes(order.status)) throw new Error(`order ${id} is ${order.status}, not ${status}`);
    }
  }

  /** Until its robot stands at the depot: the list to be counted. */
  async atDepot(id, patience_ms = 120_000) {
    for (const end = Date.now() + patience_ms; ; await pause(250)) {
      const order = await this.orderNow(id).catch(() => null);
      if (order?.list?.phase === "at-depot") return order.list;
      if (Date.now() > end) throw new Error(`order ${id} is not at the depot: ${JSON.stringify(order?.list)}`);
    }
  }

  async count(list) { await this.boss.send("POST", `depot/lists/${list.id}/inventory`, {counted: countedOf(list)}); }

  /** These orders are brought and counted, so that their robots are free again. */
  async clear(orders) {
    await inTurns(orders, 4, async ({id}) => {
      const {status} = await this.orderNow(id);
      if (["approved", "in-progress"].includes(status)) await this.count(await this.atDepot(id));
    });
  }

  async ready(options) {
    const order = await this.order(options);
    const list = await this.atDepot(order.id);
    await this.count(list);
    await this.until(order.id, "ready");
    return {...order, list};
  }
}

/** What the robot says it brings. */
export function countedOf(list) {
  const counts = new Map();
  for (const stop of list.stops) for (const item of stop.items) counts.set(item.product_id, (counts.get(item.product_id) ?? 0) + item.picked);
  return [...counts].map(([product_id, quantity]) => ({product_id, quantity})).filter((row) => row.quantity > 0);
}

/** Each of them, so many at a time. */
export async function inTurns(rows, hands, act) {
  let next = 0;
  await Promise.all(Array.from({length: hands}, async () => { while (next < rows.length) { const index = next++; await act(rows[index], index); } }));
}

/** A way to `address` that can be cut: what is connected breaks, nobody connects until it is mended. */
export async function wireTo(address) {
  const {hostname, port} = new URL(address);
  const ends = new Set();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return near.destroy();
    const far = connect(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      ends.add(one);
      one.on("error", () => one.destroy());
      one.on("close", () => { ends.delete(one); other.destroy(); });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => { isCut = true; ends.forEach((end) => end.destroy()); };
  return {address: `http://127.0.0.1:${server.address().port}`, cut, mend: () => { isCut = false; }, close: () => { cut(); server.close(); }};
}

/** A page that has stuck: it subscribes to `topics`, and then takes nothing any more. Ends with close(). */
export async function stuckViewer(mall, staff, topics) {
  const {hostname, port} = new URL(mall.admin);
  const socket = connect(Number(port), hostname);
  await new Promise((resolve, reject) => { socket.once("connect", resolve); socket.once("error", reject); });
  socket.on("error", () => socket.destroy());
  const answered = new Promise((resolve) => socket.once("data", resolve));
  socket.write(`GET /admin/v1/socket HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${Buffer.from("sixteen bytes ok").toString("base64")}\r\n`
    + `Sec-WebSocket-Version: 13\r\nOrigin: ${mall.admin}\r\nCookie: ${staff.Cookie}\r\n\r\n`);
  if (!String(await answered).includes(" 101 ")) throw new Error("the socket is refused");
  for (const topic of topics) {
    const text = Buffer.from(JSON.stringify({op: "subscribe", topic}));
    const mask = Buffer.from([1, 2, 3, 4]);
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length]), mask, Buffer.from(text.map((byte, index) => byte ^ mask[index % 4]))]));
  }
  socket.pause();
  return {close: () => socket.destroy()};
}
