import {expect, expectAccessible, fillCart, giveDetails, signIn, test} from "./helpers.mjs";

const orderIn = (mock, fits) => [...mock.mall.orders.values()].find(fits);
const waiting = (mock) => [...mock.mall.lists.values()].find((list) => list.phase === "at-depot");

test("a one-time link signs in once and leaves no trace in the address", async ({page, mock, context}) => {
  await page.goto(`${mock.admin}/#link=first-link`);
  await expect(page.locator(".pill")).toHaveText("Live");
  expect(page.url()).not.toContain("link");
  await context.clearCookies();
  await page.goto("about:blank");
  await page.goto(`${mock.admin}/#link=first-link`);
  await expect(page.getByText("This link does not work any more")).toBeVisible();
});

test("a wrong password is said, the right one lets in, signing out ends it", async ({page, mock}) => {
  await page.goto(`${mock.admin}/`);
  await page.getByLabel("Name").fill("depot-staff");
  await page.getByLabel("Password").fill("wrong");
  await page.keyboard.press("Enter");
  await expect(page.getByText("Name or password is wrong")).toBeVisible();
  await signIn(page, mock, "depot-staff");
  await page.getByRole("button", {name: "Sign out"}).click();
  await expect(page.getByRole("heading", {name: "MallBots staff"})).toBeVisible();
});

test("light or dark is kept in this browser, and nothing is drawn in the other one first", async ({page, mock, browser}) => {
  await signIn(page, mock);
  const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.getByRole("button", {name: "Light or dark"}).click();
  const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  expect(dark).not.toBe(light);
  await page.addInitScript(() => {
    window.__drawn = [];
    const look = () => {
      if (document.body) window.__drawn.push(getComputedStyle(document.body).backgroundColor);
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  // The page's program is held back until pictures were drawn without it.
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  await page.route("**/main.js", async (route) => { await released; await route.continue(); });
  await page.reload({waitUntil: "commit"});
  await expect.poll(() => page.evaluate(() => window.__drawn?.length ?? 0)).toBeGreaterThan(3);
  release();
  await expect(page.locator(".pill")).toHaveText("Live");
  expect(new Set(await page.evaluate(() => window.__drawn))).toEqual(new Set([dark]));
  await page.getByRole("button", {name: "Light or dark"}).click();
  await page.getByRole("button", {name: "Sign out"}).click();
  await page.reload();
  await expect(page.getByRole("heading", {name: "MallBots staff"})).toBeVisible();
  expect(await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).toBe(light);
  const other = await browser.newPage({colorScheme: "dark"});
  await other.goto(`${mock.admin}/`);
  await expect(other.getByRole("heading", {name: "MallBots staff"})).toBeVisible();
  expect(await other.evaluate(() => getComputedStyle(document.body).backgroundColor)).toBe(dark);
  await other.close();
});

const kTables = {
  "store-owner": ["Floor", "Stores"], "store-admin": ["Floor", "Stores"], "depot-staff": ["Floor", "Orders", "Depot", "Pickup", "Stores"],
  "depot-admin": ["Floor", "Orders", "Depot", "Pickup", "Stores", "Customers", "Operations"],
};
for (const [role, views] of Object.entries(kTables)) {
  test(`${role} sees exactly the views of the role`, async ({page, mock}) => {
    await signIn(page, mock, role);
    const shown = await page.locator(".nav-link .nav-word").allTextContents();
    expect(shown).toEqual(views);
    for (const hidden of ["orders", "depot", "pickup", "customers", "operations"].filter((name) => !views.map((view) => view.toLowerCase()).includes(name))) {
      await page.evaluate((hash) => { location.hash = hash; }, hidden);
      await expect(page.getByText("Not for your role")).toBeVisible();
    }
    expect(mock.requests.filter((one) => one.which === "admin" && /customers|operations/.test(one.path)).length === 0 || role === "depot-admin").toBe(true);
  });
}

test("a store owner sees own stores only, and may not approve them", async ({page, mock}) => {
  await signIn(page, mock, "store-owner", "stores");
  await expect(page.locator(".master .table-row").first()).toBeVisible();
  await page.evaluate(() => { location.hash = "stores/store-0010"; });
  await expect(page.getByRole("button", {name: "Take the request back"})).toBeVisible();
  await expect(page.getByRole("button", {name: "Approve"})).toHaveCount(0);
  await page.evaluate(() => { location.hash = "stores/store-0005"; });
  await expect(page.locator(".detail")).toContainText("Not found");
});

test("one human order: from first touch to released, with depot and pickup in a second window", async ({page, mock, context}) => {
  const staff = await context.newPage();
  await staff.setViewportSize({width: 1280, height: 800});
  await signIn(staff, mock, "depot-admin", "depot");
  await fillCart(page, mock);
  await giveDetails(page);
  await page.getByRole("button", {name: /Card that pays/}).click();
  const number = await page.locator(".number-plate strong").textContent();
  const row = staff.locator(".master .table-row", {hasText: number});
  await expect(row).toBeVisible({timeout: 15_000});
  await row.click();
  await staff.getByRole("button", {name: "Accept as reported"}).click();
  await staff.getByRole("button", {name: "To the pickup desk"}).click();
  await expect(page.locator(".order-head h1")).toHaveText("Ready at the pickup desk", {timeout: 15_000});
  await staff.getByRole("button", {name: "Take card"}).click();
  await staff.getByRole("button", {name: "Hand over"}).click();
  await expect(staff.getByText("This order is complete.")).toBeVisible();
  await expect(page.locator(".order-head h1")).toHaveText("Handed over. Enjoy!", {timeout: 15_000});
});

test("depot: counts are corrected by mouse; what is off is marked", async ({page, mock}) => {
  const list = waiting(mock);
  await signIn(page, mock, "depot-staff", `depot/${list.id}`);
  const input = page.locator(".counts input").first();
  await expect(input).toBeVisible();
  await input.fill("999");
  await page.getByRole("button", {name: "Save the counts"}).click();
  await expect(page.locator(".detail .notice.bad")).toContainText("a whole number from 0 to");
  await input.fill("0");
  await expect(page.locator(".counts li.off")).not.toHaveCount(0);
  await page.getByRole("button", {name: "Save the counts"}).click();
  await expect(page.getByRole("heading", {name: "Checked in"})).toBeVisible();
  expect(list.status).toBe("completed");
});

test("depot and pickup by keyboard only", async ({page, mock}) => {
  await signIn(page, mock, "depot-staff", "depot");
  const rows = page.locator(".master .table-row");
  await expect(rows.first()).toBeVisible();
  await rows.first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  const accept = page.getByRole("button", {name: "Accept as reported"});
  await expect(accept).toBeVisible();
  for (let steps = 0; steps < 80 && !await accept.evaluate((button) => button === document.activeElement); ++steps) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", {name: "Checked in"})).toBeVisible();
  const order = orderIn(mock, (one) => one.status === "ready" && !one.paid);
  await page.evaluate(() => { location.hash = "pickup"; });
  await expect(page.getByLabel("Order number or phone")).toBeFocused();
  await page.keyboard.type(order.id.slice(0, 8));
  await page.keyboard.press("Enter");
  const card = page.getByRole("button", {name: "Take card"});
  await expect(card).toBeVisible();
  await expect(page.locator(".detail")).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(card).toBeFocused();
  await page.keyboard.press("Enter");
  const release = page.getByRole("button", {name: "Hand over"});
  await expect(release).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByText("This order is complete.")).toBeVisible();
});

/** Tab until it has the focus, as somebody without a mouse would. */
async function tabTo(page, target) {
  for (let steps = 0; steps < 120; ++steps) {
    if (await target.count() && await target.first().evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the keyboard does not reach ${target}`);
}

test("stores, customers and operations by keyboard only", async ({page, mock}) => {
  await signIn(page, mock, "store-admin");
  await tabTo(page, page.getByRole("link", {name: /^Stores/}));
  await page.keyboard.press("Enter");
  const rows = page.locator(".master .table-row");
  await tabTo(page, rows);
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("button", {name: "Approve"}));
  await page.keyboard.press("Enter");
  await expect(page.locator(".detail-head .chip")).toHaveText("Taking part");
  await tabTo(page, page.getByRole("button", {name: "New product"}));
  await page.keyboard.press("Enter");
  await page.keyboard.type("Rye loaf");
  for (let steps = 0; steps < 2; ++steps) await page.keyboard.press("Tab");
  await page.keyboard.type("RYE-1");
  await page.keyboard.press("Tab");
  await page.keyboard.type("3.80");
  await page.keyboard.press("Enter");
  await expect(page.locator(".goods")).toContainText("Rye loaf");
  await expect(page.getByRole("button", {name: "New product"})).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(page.locator(".detail")).toBeHidden();
  await tabTo(page, page.getByRole("button", {name: "Sign out"}));
  await page.keyboard.press("Enter");
  await signIn(page, mock, "depot-admin");
  await tabTo(page, page.getByRole("link", {name: /^Customers/}));
  await page.keyboard.press("Enter");
  await tabTo(page, rows);
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("button", {name: "Disable"}));
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("dialog").getByRole("button", {name: "Disable"}));
  await page.keyboard.press("Enter");
  await expect(page.locator(".detail-head .chip")).toHaveText("May not order");
  await page.evaluate(() => { location.hash = "operations"; });
  await tabTo(page, page.getByRole("button", {name: "Look inside"}));
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("button", {name: "Retry all"}));
  await page.keyboard.press("Enter");
  await expect(page.getByText("Nothing left here")).toBeVisible();
});

test.describe("an order of a thousand lines", () => {
  test("is counted, corrected and handed over", async ({page, mock}) => {
    const lines = Array.from({length: 1000}, (_, index) => ({product: {...mock.mall.products[0], id: `many-${index}`, name: `Many ${index}`}, quantity: 2}));
    const order = mock.mall.place({id: "thousand-lines", customer: mock.mall.customers[0], lines, status: "at-depot"});
    await signIn(page, mock, "depot-staff", `depot/${order.shopping_id}`);
    await expect(page.locator(".counts li")).toHaveCount(1000);
    await page.locator(".counts input").nth(999).fill("0");
    await page.getByRole("button", {name: "Save the counts"}).click();
    await expect(page.getByRole("heading", {name: "Checked in"})).toBeVisible();
    await page.getByRole("button", {name: "To the pickup desk"}).click();
    await page.getByRole("button", {name: "Take cash"}).click();
    await page.getByRole("button", {name: "Hand over"}).click();
    await expect(page.getByText("This order is complete.")).toBeVisible();
  });
});

test("pickup finds by phone and shows the invoice's adjustment", async ({page, mock}) => {
  const order = orderIn(mock, (one) => one.status === "ready" && mock.mall.invoices.get(one.id).adjustment.minor < 0) ?? orderIn(mock, (one) => one.status === "ready");
  await signIn(page, mock, "depot-staff", "pickup");
  await page.getByLabel("Order number or phone").fill(order.customer.sms_number);
  await page.getByRole("button", {name: "Find"}).click();
  await expect(page.locator(".list-title")).toContainText("found");
  await page.locator(".master .table-row", {hasText: order.customer.name}).first().click();
  await expect(page.locator(".invoice").first()).toContainText("To be paid");
});

test("two staff at one pickup: one effect, the other is told who was first", async ({page, mock, browser}) => {
  const order = orderIn(mock, (one) => one.status === "ready" && !one.paid);
  const other = await (await browser.newContext()).newPage();
  await signIn(page, mock, "depot-staff", `pickup/${order.id}`);
  await signIn(other, mock, "depot-admin", `pickup/${order.id}`);
  await expect(page.getByRole("button", {name: "Take card"})).toBeEnabled();
  await expect(other.getByRole("button", {name: "Take cash"})).toBeEnabled();
  let arrived = 0;
  let release;
  const both = new Promise((resolve) => { release = resolve; });
  for (const each of [page, other]) {
    await each.route("**/payment", async (route) => { // neither has an answer before both have asked
      if (++arrived === 2) release();
      await both;
      await route.continue();
    });
  }
  await Promise.all([page.getByRole("button", {name: "Take card"}).click(), other.getByRole("button", {name: "Take cash"}).click()]);
  await expect(page.getByRole("button", {name: "Hand over"})).toBeEnabled();
  await expect(other.getByRole("button", {name: "Hand over"})).toBeEnabled();
  expect(mock.mall.moments.get(order.id).filter((moment) => moment.what === "InvoicePaid").length).toBe(1);
  const told = async () => await page.getByText("Somebody else was first").count() + await other.getByText("Somebody else was first").count();
  await expect.poll(told).toBe(1);
  await other.context().close();
});

test("an inventory that another has taken is said while one still counts", async ({page, mock}) => {
  const list = waiting(mock);
  await signIn(page, mock, "depot-staff", `depot/${list.id}`);
  await expect(page.locator(".counts input").first()).toBeVisible();
  mock.mall.count(mock.mall.orders.get(list.order_id), null);
  await expect(page.getByText("This list does not wait any more")).toBeVisible();
  await expect(page.getByRole("button", {name: "Accept as reported"})).toBeDisabled();
});

test("cancelling needs a reason and is told in the time line", async ({page, mock}) => {
  const order = orderIn(mock, (one) => one.status === "approved");
  await signIn(page, mock, "depot-admin", `orders/${order.id}`);
  await page.getByRole("button", {name: "Cancel order"}).click();
  await page.getByRole("button", {name: "Cancel the order"}).click();
  await expect(page.getByText("Please give a reason.")).toBeVisible();
  await expectAccessible(page);
  await page.getByLabel("Reason, as the customer reads it").fill("The store had a flood");
  await page.keyboard.press("Enter");
  await expect(page.locator(".detail-head .chip")).toHaveText("Cancelled");
  await expect(page.locator(".timeline")).toContainText("The store had a flood");
});

test("a request to take part is approved; products are added, priced, removed", async ({page, mock}) => {
  await signIn(page, mock, "store-admin", "stores/store-0010");
  await page.getByRole("button", {name: "Approve"}).click();
  await expect(page.locator(".detail-head .chip")).toHaveText("Taking part");
  await page.getByRole("button", {name: "New product"}).click();
  await page.getByLabel("Name").fill("Sourdough loaf");
  await page.getByLabel("Price, £").fill("4.333");
  await page.getByRole("button", {name: "Add it"}).click();
  await expect(page.getByText("Please give it a stock code.")).toBeVisible();
  await page.getByLabel("Stock code").fill("SOUR-1");
  await page.getByRole("button", {name: "Add it"}).click();
  await expect(page.getByText("The price is an amount like 12.50.")).toBeVisible();
  await page.getByLabel("Price, £").fill("4.35");
  await page.getByRole("button", {name: "Add it"}).click();
  await page.getByRole("button", {name: "Price of Sourdough loaf"}).click();
  await page.getByLabel("Price, £").fill("4.50");
  await page.keyboard.press("Enter");
  await expect(page.locator(".goods .table-row", {hasText: "Sourdough"})).toContainText("£4.50");
  await page.getByRole("button", {name: "Remove Sourdough loaf"}).click();
  await page.getByRole("button", {name: "Remove", exact: true}).click();
  await expect(page.locator(".goods .table-row", {hasText: "Sourdough"})).toHaveCount(0);
});

test("a customer is disabled and gets another number", async ({page, mock}) => {
  const customer = mock.mall.customers[0];
  await signIn(page, mock, "depot-admin", `customers/${customer.id}`);
  await page.getByRole("button", {name: "Disable"}).click();
  await page.getByRole("dialog").getByRole("button", {name: "Disable"}).click();
  await expect(page.locator(".detail-head .chip")).toHaveText("May not order");
  await page.getByRole("button", {name: "Change number"}).click();
  await page.getByLabel("Phone number").fill("+447700911111");
  await page.keyboard.press("Enter");
  await expect(page.locator(".detail .facts")).toContainText("+447700911111");
  expect(customer).toMatchObject({enabled: false, sms_number: "+447700911111"});
});

test("dead letters are read, retried one and all; a stuck saga goes on", async ({page, mock}) => {
  await signIn(page, mock, "depot-admin", "operations");
  await page.getByRole("button", {name: "Look inside"}).click();
  await expect(page.locator(".letter-box")).toContainText("database is locked");
  await page.getByRole("button", {name: /^Retry payments/}).first().click();
  await expect.poll(() => mock.mall.letters.filter((letter) => letter.state === "replayed").length).toBe(1);
  await page.getByRole("button", {name: "Purge all"}).click();
  await page.getByRole("button", {name: "Purge", exact: true}).click();
  await expect(page.getByText("Nothing left here")).toBeVisible();
  await page.getByRole("button", {name: "All boxes"}).click();
  await expect(page.getByText("No dead letters")).toBeVisible();
  await page.getByRole("button", {name: "Try again"}).click();
  await expect(page.getByText("No saga is stuck.")).toBeVisible();
});

test("the socket is cut for ten seconds and comes back without a lost or doubled change", async ({page, mock}) => {
  test.setTimeout(90_000);
  await signIn(page, mock, "depot-admin", "orders");
  const count = () => page.locator('.tab[data-state=""] .count').textContent();
  await expect.poll(count).toBe("60");
  mock.trouble = {socket: "refuse"};
  for (const socket of mock.sockets) socket.cut();
  await expect(page.locator(".pill")).toHaveText("Not live");
  await expect(page.locator(".stale-banner")).toContainText("What you see is not of now");
  const customer = mock.mall.customers[0];
  for (let index = 0; index < 25; ++index) mock.mall.place({id: `new-${index}`, customer, lines: [{product: mock.mall.products[index], quantity: 1}], status: "approved"});
  mock.mall.board.remove("orders", orderIn(mock, (one) => one.status === "completed").id);
  await page.waitForTimeout(10_000);
  mock.trouble = {};
  await expect(page.locator(".pill")).toHaveText("Live", {timeout: 40_000});
  await expect.poll(count).toBe("84");
});

test("a gateway that starts anew is drawn anew", async ({page, mock}) => {
  await signIn(page, mock, "depot-admin", "orders");
  await expect.poll(() => page.locator('.tab[data-state=""] .count').textContent()).toBe("60");
  mock.mall.board.remove("orders", [...mock.mall.orders.keys()][0]);
  mock.mall.board.restart();
  for (const socket of mock.sockets) socket.cut();
  await expect.poll(() => page.locator('.tab[data-state=""] .count').textContent(), {timeout: 15_000}).toBe("59");
});

test("a session that ends leads to the sign-in", async ({page, mock}) => {
  await signIn(page, mock, "depot-admin", "customers");
  await expect(page.locator(".table-row").first()).toBeVisible();
  mock.sessions.clear();
  await page.locator(".table-row").first().click();
  await expect(page.getByText("Your session has ended")).toBeVisible();
});

test("a broker that is away makes the page stale, with the gateway's words", async ({page, mock}) => {
  await signIn(page, mock, "depot-admin", "floor");
  mock.mall.board.stale = "The broker does not answer.";
  await expect(page.locator(".stale-banner")).toContainText("The broker does not answer.", {timeout: 8000});
  await expectAccessible(page);
});

test.describe("a thousand robots", () => {
  test.use({mall: {bots: 1000, orders: 400}});
  test("are drawn at thirty frames a second or more", async ({page, mock}) => {
    await signIn(page, mock, "depot-admin", "floor");
    await expect(page.locator(".legend")).toContainText("active");
    await expect(page.locator(".legend .place")).toHaveText(["Depot", "Receiving bay", "Store"]);
    await expect.poll(() => page.locator("canvas").getAttribute("data-frames").then(Number), {timeout: 20_000, intervals: [500]}).toBeGreaterThanOrEqual(30);
  });
  test("stand still for who asks for less motion, and are still up to date", async ({page, mock}) => {
    await page.emulateMedia({reducedMotion: "reduce"});
    await signIn(page, mock, "depot-admin", "floor");
    await expect(page.locator(".legend")).toContainText("active");
    await expect.poll(() => page.locator("canvas").getAttribute("data-frames").then(Number), {timeout: 20_000, intervals: [500]}).toBeLessThan(15);
  });
});

test.describe("ten thousand rows", () => {
  test.use({mall: {orders: 10_000, customers: 10_000}});
  test("scroll with few of them in the document, and keys go to the end", async ({page, mock}) => {
    await signIn(page, mock, "depot-admin", "orders");
    await expect.poll(() => page.locator('.tab[data-state=""] .count').textContent(), {timeout: 20_000}).toBe("10,000");
    await page.locator(".table-row").first().focus();
    await page.keyboard.press("End");
    await expect(page.locator(".table-row:focus")).toHaveAttribute("aria-rowindex", "10001");
    expect(await page.locator(".table-row").count()).toBeLessThan(60);
    await page.evaluate(() => { location.hash = "customers"; });
    await expect(page.locator(".list-title")).toHaveText("10,000 customers", {timeout: 30_000});
    expect(await page.locator(".table-row").count()).toBeLessThan(60);
  });
});

for (const [place, only, rows] of [["depot", "at-depot", "Robots that wait at the depot"], ["pickup", "ready", "Orders at the desk"]]) {
  test.describe(`ten thousand rows at the ${place}`, () => {
    test.use({mall: {orders: 10_000, only}});
    test("scroll with few of them in the document, the last is settled by keys, and one less is left", async ({page, mock}) => {
      test.setTimeout(90_000);
      await signIn(page, mock, "depot-staff", place);
      const table = page.getByRole("grid", {name: rows, exact: true});
      await expect(table).toHaveAttribute("aria-rowcount", "10001", {timeout: 30_000});
      await page.locator(".master .table-row").first().focus();
      await page.keyboard.press("End");
      await expect(page.locator(".table-row:focus")).toHaveAttribute("aria-rowindex", "10001");
      expect(await page.locator(".table-row").count()).toBeLessThan(60);
      await page.keyboard.press("Enter");
      for (const name of only === "ready" ? ["Take cash", "Hand over"] : ["Accept as reported"]) {
        const button = page.getByRole("button", {name});
        await expect(button).toBeEnabled();
        await button.press("Enter");
      }
      await expect(page.getByText(only === "ready" ? "This order is complete." : "Accepted as the robot reported it.").first()).toBeVisible();
      await expect(table).toHaveAttribute("aria-rowcount", "10000");
      expect(await page.locator(".table-row").count()).toBeLessThan(60);
    });
  });
}

test.describe("hostile text in every field", () => {
  test.use({mall: {hostile: true}});
  test("is shown as text, and nothing executes", async ({page, mock}) => {
    await signIn(page, mock, "depot-admin", "floor");
    await expect(page.locator(".table-row").first()).toBeVisible();
    const order = orderIn(mock, (one) => one.status === "ready");
    for (const place of ["orders", `orders/${orderIn(mock, (one) => one.status === "cancelled").id}`, `orders/${order.id}`, `depot/${waiting(mock).id}`, `pickup/${order.id}`, "stores/store-0002", `customers/${mock.mall.customers[0].id}`, "operations/orders/mallbots.payments.events"]) {
      await page.evaluate((hash) => { location.hash = hash; }, place);
      await page.waitForTimeout(500);
      expect(await page.evaluate(() => window.__hit)).toBeUndefined();
      expect(await page.locator("main img, main script, main svg[onload], main b").count()).toBe(0);
    }
    await expect(page.locator("main")).toContainText("onerror=window.__hit=1");
  });
});

for (const colorScheme of ["light", "dark"]) {
  test.describe(colorScheme, () => {
    test.use({colorScheme});
    test("no serious or critical finding on any view", async ({page, mock}) => {
      test.setTimeout(120_000);
      await page.goto(`${mock.admin}/`);
      await expectAccessible(page);
      await signIn(page, mock);
      const order = orderIn(mock, (one) => one.status === "ready");
      for (const place of ["floor", "orders", `orders/${order.id}`, "depot", `depot/${waiting(mock).id}`, "pickup", `pickup/${order.id}`, "stores", "stores/store-0010", "customers", `customers/${mock.mall.customers[0].id}`, "operations", "operations/orders/mallbots.payments.events", "nowhere"]) {
        await page.evaluate((hash) => { location.hash = hash; }, place);
        await page.waitForTimeout(500);
        await expectAccessible(page);
      }
    });
    test.describe("nothing there", () => {
      test.use({mall: {stores: 0, products: 0, orders: 0, customers: 0, bots: 0, letters: 0}});
      test("no serious or critical finding on empty views and without answers", async ({page, mock}) => {
        test.setTimeout(120_000);
        await signIn(page, mock);
        for (const place of ["floor", "orders", "depot", "pickup", "stores", "customers", "operations"]) {
          await page.evaluate((hash) => { location.hash = hash; }, place);
          await page.waitForTimeout(400);
          await expectAccessible(page);
        }
        mock.trouble = {status: 503};
        await page.evaluate(() => { location.hash = "floor"; });
        await expect(page.getByText("No answer").first()).toBeVisible({timeout: 10_000});
        await expectAccessible(page);
      });
    });
  });
}
