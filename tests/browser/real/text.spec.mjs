// Hostile text in every field that somebody can fill, a viewer that has stuck, an order of a thousand lines; axe on all of it.

import {expect, expectAccessibleInBoth, newPhone, show, test} from "./helpers.mjs";
import {hostile, inTurns, stuckViewer} from "./mall.mjs";

test.setTimeout(600_000); // axe takes its time

/** Nothing of it ran, and nothing of it became an element. */
async function expectOnlyText(page) {
  expect(await page.evaluate(() => window.__hit)).toBeUndefined();
  expect(await page.locator("main img, main script, main b, dialog img, dialog script").count()).toBe(0);
}

/** Made once a mall. */
async function hostileShop(mall) {
  mall.hostile ??= mall.store({id: "hostile", name: hostile("Store"), location: hostile("Place"), products: [{name: hostile("Pear"), description: hostile("About"), sku: hostile("Code")}]});
  return mall.hostile;
}

test("hostile text is shown as text in each view, beside a viewer that has stuck", async ({real, as}) => {
  const shop = await hostileShop(real);
  await real.boss.send("POST", "stores", {id: "denied", name: hostile("Denied"), location: "9,9"});
  await real.boss.send("POST", "stores/denied/participation-request");
  await real.boss.send("POST", "stores/denied/participation-denial", {reason: hostile("No")});
  const stuck = await stuckViewer(real, real.boss, ["orders", "lists", "bots", "invoices", "stores", "ops"]);
  const phone = newPhone();
  const ready = await real.ready({products: shop.products, phone, name: hostile("Mallory")});
  const brought = await real.order({products: shop.products, phone: newPhone(), name: hostile("Mallory")});
  const list = await real.atDepot(brought.id);
  const gone = await real.order({products: shop.products, phone: newPhone(), name: hostile("Mallory")});
  await real.atDepot(gone.id);
  await real.boss.send("POST", `orders/${gone.id}/cancellation`, {reason: hostile("Flood")});
  await real.until(gone.id, "cancelled");
  const customer = (await real.boss.send("GET", "customers?name=Mallory")).customers[0];

  const staff = await as("boss", "floor");
  const views = {floor: null, orders: "Mallory", [`orders/${ready.id}`]: "Pear", [`orders/${gone.id}`]: "Flood", depot: null, [`depot/${list.id}`]: "Pear", [`pickup/${ready.id}`]: "Mallory",
    stores: "Place", "stores/hostile": "About", "stores/denied": "Denied", customers: "Mallory", [`customers/${customer.id}`]: "Mallory", operations: null};
  for (const [place, text] of Object.entries(views)) {
    await show(staff, place);
    if (place === "customers") await staff.getByLabel("Find a customer by name").fill("Mallory"); // others came before, by name
    if (text) await expect(staff.locator("main")).toContainText(hostile(text), {timeout: 20_000});
    await staff.waitForTimeout(300); // in which what executes would have
    await expectOnlyText(staff);
    await expectAccessibleInBoth(staff);
  }
  await show(staff, `customers/${customer.id}`);
  await staff.getByRole("button", {name: "Disable"}).click();
  await expect(staff.getByRole("dialog")).toContainText(hostile("Mallory"));
  await expectOnlyText(staff);
  await expectAccessibleInBoth(staff);
  await staff.keyboard.press("Escape");
  await show(staff, `depot/${list.id}`);
  await staff.locator(".counts input").first().fill(hostile("1"));
  await staff.getByRole("button", {name: "Save the counts"}).click();
  await expect(staff.locator(".detail .notice.bad")).toContainText("a whole number from 0 to");
  await expectOnlyText(staff);

  // The one that has stuck holds nobody up: what happens now is on the page at once.
  await show(staff, "orders");
  await inTurns(Array.from({length: 10}, (_, index) => index), 5, (index) => real.order({products: shop.products, phone: newPhone(), name: `${hostile("Late")} ${index}`}));
  await staff.getByLabel("Find an order").fill("Late");
  await expect(staff.locator(".master .table-row")).toHaveCount(10, {timeout: 5_000});
  await expectOnlyText(staff);
  stuck.close();
  const late = (await real.boss.send("GET", "orders?limit=50")).orders.filter((row) => ["approved", "in-progress"].includes(row.status));
  await real.clear(late);
});

test("hostile text is shown as text on each screen of the kiosk", async ({real, page}) => {
  await hostileShop(real);
  await page.goto(`${real.kiosk}/?idle=3600`);
  await expectAccessibleInBoth(page);
  await page.getByRole("button", {name: "Touch to start"}).click();
  await expect(page.locator("main")).toContainText(hostile("Store"));
  await expectAccessibleInBoth(page);
  await page.locator(".store-card", {hasText: hostile("Store")}).click();
  await expect(page.locator("main")).toContainText(hostile("About"));
  await page.getByRole("button", {name: /^Add /}).first().click();
  await expect(page.locator(".cart-lines")).toContainText(hostile("Pear"));
  await expect(page.locator(".cart-total")).not.toHaveClass(/unsettled/);
  await expectOnlyText(page);
  await expectAccessibleInBoth(page);
  await page.getByRole("button", {name: "Review order"}).click();
  await expect(page.locator("main")).toContainText(hostile("Pear"));
  await expectOnlyText(page);
  await expectAccessibleInBoth(page);
  await page.getByRole("button", {name: /^Confirm/}).click();
  await page.getByLabel("Your phone number").fill(newPhone());
  await page.getByLabel("Your name").fill(hostile("Eve").slice(0, 80));
  await expectAccessibleInBoth(page);
  await page.getByRole("button", {name: "Continue"}).click();
  await page.getByLabel("Or a card's token").fill(hostile("tok"));
  await page.getByRole("button", {name: "Hold to reader"}).click();
  await expect(page.locator(".number-plate, .card-state .notice.bad").first()).toBeVisible({timeout: 20_000});
  await expectOnlyText(page);
  await expectAccessibleInBoth(page);
});

test("an order of a thousand lines is brought, counted, corrected, paid and followed at the kiosk", async ({real, as, page}) => {
  const shop = await real.store({id: "thousand", name: "A thousand things", products: Array.from({length: 1000}, (_, index) => ({name: `Thing ${index}`}))});
  const order = await real.order({products: shop.products, quantity: 2, phone: newPhone(), name: "Thousand"});
  const staff = await as("depot-staff", `orders/${order.id}`);
  await expect(staff.locator(".detail")).toContainText("1,000 lines", {timeout: 20_000});
  const list = await real.atDepot(order.id, 200_000);
  await show(staff, `depot/${list.id}`);
  await expect(staff.locator(".counts li")).toHaveCount(1000, {timeout: 20_000});
  const picked = Number(await staff.locator(".counts input").nth(999).inputValue());
  await staff.locator(".counts input").nth(999).fill("0");
  await staff.getByRole("button", {name: "Save the counts"}).click();
  await expect(staff.getByRole("heading", {name: "Checked in"})).toBeVisible({timeout: 30_000});
  await staff.getByRole("button", {name: "To the pickup desk"}).click();
  await expect(staff.getByRole("button", {name: "Take card"})).toBeEnabled({timeout: 30_000});
  await expect(staff.locator(".detail .lines tbody tr")).not.toHaveCount(0);
  await expectAccessibleInBoth(staff);
  await staff.getByRole("button", {name: "Take card"}).click();
  await expect(staff.getByRole("button", {name: "Hand over"})).toBeEnabled({timeout: 30_000});
  await staff.getByRole("button", {name: "Hand over"}).click();
  await expect(staff.getByText("This order is complete.")).toBeVisible({timeout: 30_000});
  const missing = list.stops[0].items.reduce((sum, item) => sum + item.quantity - item.picked, 0) + picked;
  expect((await real.orderNow(order.id)).invoice).toMatchObject({first_amount: {minor: 500_000}, amount: {minor: 500_000 - 250 * missing}});

  await page.goto(`${real.kiosk}/?idle=3600`);
  await page.getByRole("button", {name: "Follow an order"}).click();
  await page.getByLabel("Order number").fill(order.id);
  await page.getByRole("button", {name: "Continue"}).click();
  await page.getByRole("button", {name: /Card that pays/}).click();
  await expect(page.locator(".order-head h1")).toHaveText("Handed over. Enjoy!", {timeout: 20_000});
  expect(await page.locator(".order-items li").count()).toBeGreaterThanOrEqual(990);
  await expectAccessibleInBoth(page);
});
