// What must hold while others are at work too: a line that breaks, a rival at the desk, a viewer that has stuck.

import {touchToReleased} from "../helpers.mjs";
import {expect, newPhone, show, test} from "./helpers.mjs";
import {inTurns, wireTo} from "./mall.mjs";

test.setTimeout(240_000);

/** All messages of a socket topic that the page gets, of all its connections. */
function messagesOf(page, topic) {
  const heard = [];
  page.on("websocket", (socket) => {
    const connection = heard.push([]) - 1;
    socket.on("framereceived", ({payload}) => {
      const message = JSON.parse(payload);
      if (message.topic === topic && ["snapshot", "delta"].includes(message.op)) heard[connection].push(message);
    });
  });
  return heard;
}

async function allOrders(mall) {
  const rows = new Map();
  for (let cursor = ""; cursor !== null;) {
    const page = await mall.boss.send("GET", `orders?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    page.orders.forEach((row) => rows.set(row.id, row));
    cursor = page.next;
  }
  return rows;
}

test("one order from first touch to released, with depot and desk in a second window", async ({real, as, page}) => {
  await touchToReleased({page, staff: await as("depot-staff", "floor"), kiosk: real.kiosk, phone: newPhone()});
});

test("the line is cut for ten seconds: no change is lost, none comes twice", async ({real, as}) => {
  const wire = await wireTo(real.admin);
  let heard;
  const page = await as("depot-admin", "orders", {address: wire.address, before: (fresh) => { heard = messagesOf(fresh, "orders"); }});
  const place = (index) => real.order({products: [real.shop.products[index % 3]], phone: newPhone(), name: `Cut ${index}`});
  const first = await place(0);
  await expect(page.locator(".table-row", {hasText: "Cut 0"})).toBeVisible({timeout: 20_000});
  wire.cut();
  const cut_ms = Date.now();
  await expect(page.locator(".pill")).toHaveText("Not live");
  await expect(page.locator(".stale-banner")).toContainText("What you see is not of now");
  const later = [];
  await inTurns(Array.from({length: 25}, (_, index) => index + 1), 5, async (index) => later.push(await place(index)));
  await real.boss.send("POST", `orders/${first.id}/cancellation`, {reason: "cut off"}).catch(() => null); // too late: brought already
  await page.waitForTimeout(Math.max(0, 10_000 - (Date.now() - cut_ms)));
  wire.mend();
  await expect(page.locator(".pill")).toHaveText("Live", {timeout: 60_000});

  const drawn = async () => {
    const rows = await allOrders(real);
    const shown = Object.fromEntries(await page.locator(".tab").evaluateAll((tabs) => tabs.map((tab) => [tab.dataset.state, Number(tab.querySelector(".count").textContent.replace(",", ""))])));
    const counted = {"": rows.size};
    for (const row of rows.values()) counted[row.status] = (counted[row.status] ?? 0) + 1;
    return Object.entries(shown).filter(([status, count]) => count !== (counted[status] ?? 0));
  };
  await expect.poll(drawn, {timeout: 60_000, intervals: [1000]}).toEqual([]);
  for (const name of ["Cut 7", "Cut 25"]) {
    await page.getByLabel("Find an order").fill(name);
    await expect(page.locator(".table-row", {hasText: name}).first()).toBeVisible();
    expect(await page.locator(".table-row").count()).toBe(1);
  }
  // Each message begins where the one before it ended, over the break too: that is what "none lost, none twice" is made of.
  const told = heard.filter((messages) => messages.length);
  expect(told.length).toBeGreaterThanOrEqual(2);
  expect(told.at(-1)[0].op).toBe("delta");
  const all = told.flat();
  expect(all[0].from).toBe(0);
  expect(all.filter((message, index) => index > 0 && message.from !== all[index - 1].to)).toEqual([]);
  wire.close();
  await real.clear(later);
});

test("two at one desk: of payment and release each happens once, the other is told who was first", async ({real, as}) => {
  const order = await real.ready({products: [real.shop.products[0]], phone: newPhone()});
  const pages = [await as("depot-staff", `pickup/${order.id}`), await as("depot-admin", `pickup/${order.id}`)];
  /** Both requests leave their pages before either is sent on. */
  const together = async (path, buttons) => {
    let open;
    const both = new Promise((resolve) => { let count = 0; open = () => { if (++count === 2) resolve(); }; });
    for (const page of pages) await page.route(`**/pickup/orders/*/${path}`, async (route) => { open(); await both; await route.continue(); });
    await Promise.all(pages.map((page, index) => page.getByRole("button", {name: buttons[index]}).click()));
  };
  const told = async () => (await Promise.all(pages.map((page) => page.getByText("Somebody else was first").count()))).reduce((sum, count) => sum + count, 0);
  const moments = async (what) => (await real.boss.send("GET", `orders/${order.id}/timeline`)).moments.filter((moment) => moment.what === what).length;

  await together("payment", ["Take card", "Take cash"]);
  await expect.poll(told, {timeout: 20_000}).toBe(1);
  for (const page of pages) await expect(page.getByRole("button", {name: "Hand over"})).toBeEnabled({timeout: 20_000});
  await expect.poll(() => moments("InvoicePaid"), {timeout: 20_000}).toBe(1);
  expect(await real.boss.send("GET", `pickup/orders/${order.id}`)).toMatchObject({order: {invoice: {state: "paid", paid: {minor: 250}}}});

  await together("release", ["Hand over", "Hand over"]);
  await expect.poll(told, {timeout: 20_000}).toBe(1);
  for (const page of pages) await expect(page.getByText("This order is complete.")).toBeVisible({timeout: 20_000});
  await expect.poll(() => moments("OrderCompleted"), {timeout: 20_000}).toBe(1);
});

test("two at one list: one count holds, the other is told", async ({real, as}) => {
  const order = await real.order({products: [real.shop.products[1]], quantity: 2, phone: newPhone()});
  const list = await real.atDepot(order.id);
  const page = await as("depot-staff", `depot/${list.id}`);
  await page.locator(".counts input").first().fill("1");
  await real.boss.send("POST", `depot/lists/${list.id}/inventory`, {counted: [{product_id: real.shop.products[1].id, quantity: 2}]});
  await expect(page.getByText("This list does not wait any more")).toBeVisible({timeout: 20_000});
  await expect(page.getByRole("button", {name: "Save the counts"})).toBeDisabled();
  expect(await real.until(order.id, "ready")).toMatchObject({total: {minor: 500}});
  await show(page, "floor");
});
