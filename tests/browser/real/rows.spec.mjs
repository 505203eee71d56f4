// Ten thousand orders, customers, stores, products and dead letters in the real mall, made through its own doors: the pages stay usable.

import {spawnSync} from "node:child_process";
import {join} from "node:path";
import {expect, show, test} from "./helpers.mjs";
import {inTurns} from "./mall.mjs";

const kRows = Number(process.env.ROWS ?? 10_000);
const kOrders = Number(process.env.ORDERS ?? kRows);
const kMost = 70; // rows that are in the document at a time
const kUsable_ms = 2000; // a key or a letter typed is answered within, on a machine that has other work
const grouped = (count) => count.toLocaleString("en-GB");
const upTo = (count) => Array.from({length: count}, (_, index) => index);
const numbers = upTo(kRows);

test.use({bots: 0}); // a mall of its own: what is ordered stays
test.describe.configure({mode: "serial"});

async function within(what, act) {
  const begin = Date.now();
  await act();
  const took_ms = Date.now() - begin;
  test.info().annotations.push({type: what, description: `${took_ms} ms`});
  console.log(`    ${what}: ${took_ms} ms`);
  expect(took_ms, what).toBeLessThan(kUsable_ms);
}

/** To the last row and back by keys; few of them are ever in the document. */
async function expectUsable(page, rows, what, count) {
  await rows.first().focus();
  await within(`${what}: End`, async () => {
    await page.keyboard.press("End");
    await expect(page.locator(".table-row:focus")).toHaveAttribute("aria-rowindex", String(count + 1));
  });
  expect(await rows.count()).toBeLessThan(kMost);
  await within(`${what}: Home`, async () => {
    await page.keyboard.press("Home");
    await expect(page.locator(".table-row:focus")).toHaveAttribute("aria-rowindex", "2");
  });
}

test("they are made", async ({real}) => {
  test.setTimeout(900_000);
  const began = Date.now();
  const said = spawnSync(join(real.bin, "mallbots"), ["produce", "commands.ReleasePayment", "--runtime-dir", real.place[1]], {input: numbers.map((index) => `unreadable ${index}\n`).join(""), encoding: "utf8"});
  expect(said.status, said.stderr).toBe(0);
  await inTurns(numbers, 16, (index) => real.boss.send("POST", "stores", {id: `store-${index}`, name: `Store ${index}`, location: `${1 + index % 39},${1 + index % 19}`}));
  console.log(`    stores after ${Date.now() - began} ms`);
  await real.store({id: "full", name: "The full store", products: numbers.map((index) => ({name: `Item ${index}`}))});
  console.log(`    products after ${Date.now() - began} ms`);
  await inTurns(upTo(kOrders), 16, (index) => real.order({products: [real.shop.products[index % 4]], phone: `+4477${String(10_000_000 + index)}`, name: `Customer ${index}`}));
  console.log(`    orders after ${Date.now() - began} ms`);
});

test("ten thousand orders", async ({as}) => {
  test.setTimeout(480_000);
  const page = await as("depot-admin", "orders");
  await expect(page.locator('.tab[data-state=""] .count')).toHaveText(grouped(kOrders), {timeout: 60_000});
  await expectUsable(page, page.locator(".master .table-row"), "orders", kOrders);
  await within("orders: find", async () => {
    await page.getByLabel("Find an order").fill(`Customer ${kOrders - 1}`);
    await expect(page.locator(".master .table-row")).toHaveCount(1);
  });
  await within("orders: open", async () => {
    await page.locator(".master .table-row").click();
    await expect(page.locator(".timeline li").first()).toBeVisible();
  });
  await show(page, "depot");
  await expect(page.locator(".under")).toContainText(`${grouped(kOrders)} lists wait for a robot`, {timeout: 360_000}); // the mall is still making them
});

test("ten thousand customers and dead letters", async ({as}) => {
  test.setTimeout(180_000);
  const page = await as("depot-admin", "customers");
  await expect(page.locator(".list-title")).toHaveText(`${grouped(kOrders)} customers`, {timeout: 60_000});
  await expectUsable(page, page.locator(".master .table-row"), "customers", kOrders);
  await page.getByLabel("Find a customer by name").fill(`Customer ${kOrders - 1}`);
  await expect(page.locator(".list-title")).toHaveText("1 customer", {timeout: 20_000});
  await show(page, "operations");
  await expect(page.locator(".boxes")).toContainText(`${grouped(kRows)} dead letters`, {timeout: 60_000});
  await page.getByRole("button", {name: "Look inside"}).first().click();
  await expect(page.locator(".letter-box [role=table]")).toHaveAttribute("aria-rowcount", String(kRows + 1), {timeout: 60_000});
  expect(await page.locator(".letter-box .table-row").count()).toBeLessThan(kMost);
});

test("ten thousand stores, and a store of ten thousand products", async ({as}) => {
  test.setTimeout(180_000);
  const page = await as("store-admin", "stores");
  await expect(page.locator('.tab[data-kind=""] .count')).toHaveText(grouped(kRows + 2), {timeout: 60_000});
  await expectUsable(page, page.locator(".master .table-row"), "stores", kRows + 2);
  await show(page, "stores/full");
  await expect(page.locator(".goods h3")).toHaveText(`${grouped(kRows)} products`, {timeout: 60_000});
  expect(await page.locator(".goods .table-row").count()).toBeLessThan(kMost);
  await show(page, "floor");
  await expect(page.locator("canvas")).toBeVisible({timeout: 20_000});
});

test("the kiosk with ten thousand products", async ({page, real}) => {
  test.setTimeout(120_000);
  await page.goto(`${real.kiosk}/?idle=3600`);
  await page.getByRole("button", {name: "Touch to start"}).click();
  await page.locator(".store-card", {hasText: "The full store"}).click();
  await within("kiosk: first products", () => expect(page.locator(".product-card").first()).toBeVisible());
  await page.getByLabel("Find an item").fill(`Item ${kRows - 1}`);
  await expect(page.locator(".product-card")).toHaveCount(1, {timeout: 60_000});
  await page.getByRole("button", {name: "Done"}).click();
  await page.getByRole("button", {name: /^Add /}).click();
  await expect(page.locator(".cart-total")).toHaveText("£2.50", {timeout: 20_000});
  await page.getByLabel("Find an item").fill("");
  const last = numbers.map((index) => `Item ${index}`).sort().at(-1);
  await within("kiosk: scroll to the end", async () => {
    await page.locator(".shelf-list").evaluate((list) => { list.scrollTop = list.scrollHeight; });
    await expect(page.getByRole("heading", {name: last, exact: true})).toBeVisible();
  });
  expect(await page.locator(".product-card").count()).toBeLessThan(kMost);
});
