// Ten thousand orders, customers, stores, products and dead letters in the real mall, made through its own doors: the pages stay usable, because
// few of the rows are in the document. How long a key or a letter typed takes is printed, for people to judge: it is the machine's, too.

import {spawnSync} from "node:child_process";
import {join} from "node:path";
import {expect as promptly, show, test} from "./helpers.mjs";
import {inTurns} from "./mall.mjs";

const kRows = Number(process.env.ROWS ?? 10_000);
const kOrders = Number(process.env.ORDERS ?? kRows);
const kMost = 70; // rows that are in the document at a time
const kPatience_ms = 180_000; // for what the page does
const kHang_ms = 3_600_000; // for what the mall makes meanwhile, and for each test
const expect = promptly.configure({timeout: kPatience_ms});
const grouped = (count) => count.toLocaleString("en-GB");
const upTo = (count) => Array.from({length: count}, (_, index) => index);
const numbers = upTo(kRows);

test.use({bots: 0, actionTimeout: kPatience_ms}); // a mall of its own: what is ordered stays
test.describe.configure({mode: "serial", timeout: kHang_ms});

async function timed(what, act) {
  const begin = Date.now();
  await act();
  const said = `${Date.now() - begin} ms`;
  test.info().annotations.push({type: what, description: said});
  console.log(`    ${what}: ${said}`);
}

/** To the last row and back by keys; few of them are ever in the document. */
async function expectUsable(page, rows, what, count) {
  await rows.first().focus();
  await timed(`${what}: End`, async () => {
    await page.keyboard.press("End");
    await expect(page.locator(".table-row:focus")).toHaveAttribute("aria-rowindex", String(count + 1));
  });
  expect(await rows.count()).toBeLessThan(kMost);
  await timed(`${what}: Home`, async () => {
    await page.keyboard.press("Home");
    await expect(page.locator(".table-row:focus")).toHaveAttribute("aria-rowindex", "2");
  });
}

test("they are made", async ({real}) => {
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
  const page = await as("depot-admin", "orders");
  await expect(page.locator('.tab[data-state=""] .count')).toHaveText(grouped(kOrders));
  await expectUsable(page, page.locator(".master .table-row"), "orders", kOrders);
  await timed("orders: find", async () => {
    await page.getByLabel("Find an order").fill(`Customer ${kOrders - 1}`);
    await expect(page.locator(".master .table-row")).toHaveCount(1);
  });
  await timed("orders: open", async () => {
    await page.locator(".master .table-row").click();
    await expect(page.locator(".timeline li").first()).toBeVisible();
  });
  await show(page, "depot");
  await expect(page.locator(".under")).toContainText(`${grouped(kOrders)} lists wait for a robot`, {timeout: kHang_ms}); // the mall is still making them
});

test("ten thousand customers and dead letters", async ({as}) => {
  const page = await as("depot-admin", "customers");
  await expect(page.locator(".list-title")).toHaveText(`${grouped(kOrders)} customers`);
  await expectUsable(page, page.locator(".master .table-row"), "customers", kOrders);
  await page.getByLabel("Find a customer by name").fill(`Customer ${kOrders - 1}`);
  await expect(page.locator(".list-title")).toHaveText("1 customer");
  await show(page, "operations");
  await expect(page.locator(".boxes")).toContainText(`${grouped(kRows)} dead letters`);
  await page.getByRole("button", {name: "Look inside"}).first().click();
  await expect(page.locator(".letter-box [role=table]")).toHaveAttribute("aria-rowcount", String(kRows + 1));
  expect(await page.locator(".letter-box .table-row").count()).toBeLessThan(kMost);
});

test("ten thousand stores, and a store of ten thousand products", async ({as}) => {
  const page = await as("store-admin", "stores");
  await expect(page.locator('.tab[data-kind=""] .count')).toHaveText(grouped(kRows + 2));
  await expectUsable(page, page.locator(".master .table-row"), "stores", kRows + 2);
  await show(page, "stores/full");
  await expect(page.locator(".goods h3")).toHaveText(`${grouped(kRows)} products`);
  expect(await page.locator(".goods .table-row").count()).toBeLessThan(kMost);
  await show(page, "floor");
  await expect(page.locator("canvas")).toBeVisible();
});

test("the kiosk with ten thousand products", async ({page, real}) => {
  await page.goto(`${real.kiosk}/?idle=3600`);
  await page.getByRole("button", {name: "Touch to start"}).click();
  await page.locator(".store-card", {hasText: "The full store"}).click();
  await timed("kiosk: first products", () => expect(page.locator(".product-card").first()).toBeVisible());
  await page.getByLabel("Find an item").fill(`Item ${kRows - 1}`);
  await expect(page.locator(".product-card")).toHaveCount(1);
  await page.getByRole("button", {name: "Done"}).click();
  await page.getByRole("button", {name: /^Add /}).click();
  await expect(page.locator(".cart-total")).toHaveText("£2.50");
  await page.getByLabel("Find an item").fill("");
  const last = numbers.map((index) => `Item ${index}`).sort().at(-1);
  await timed("kiosk: scroll to the end", async () => {
    await expect(async () => { // the list grows when the search is undone
      await page.locator(".shelf-list").evaluate((list) => { list.scrollTop = list.scrollHeight; });
      await promptly(page.getByRole("heading", {name: last, exact: true})).toBeVisible({timeout: 500});
    }).toPass({timeout: kPatience_ms});
  });
  expect(await page.locator(".product-card").count()).toBeLessThan(kMost);
});
