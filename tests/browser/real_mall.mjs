// One human order in the real mall that `make up` or `mall up` runs, robots included:
//   MALL_KIOSK=http://127.0.0.1:8601 MALL_STAFF='http://127.0.0.1:8602/#link=TOKEN' npx playwright test
// A simulated staff must not be at work: the depot and the desk are this test's.

import {expect, expectAccessible, test} from "./helpers.mjs";

test.use({mock: async ({}, use) => use(null)});
test.setTimeout(240_000);

test("from first touch to released, in two windows", async ({page, browser}) => {
  const staff = await (await browser.newContext({viewport: {width: 1280, height: 800}})).newPage();
  await staff.goto(process.env.MALL_STAFF);
  await expect(staff.locator(".pill")).toHaveText("Live", {timeout: 20_000});
  await expect(staff.locator("canvas")).toBeVisible();
  await page.goto(`${process.env.MALL_KIOSK}/`);
  await page.getByRole("button", {name: "Touch to start"}).click();
  await page.locator(".store-card").first().click();
  await page.getByRole("button", {name: /^Add /}).first().click();
  await expect(page.locator(".cart-total")).not.toHaveClass(/unsettled/);
  await page.getByRole("button", {name: "Review order"}).click();
  await page.getByRole("button", {name: /^Confirm/}).click();
  await page.getByLabel("Your phone number").fill("+447700900321");
  await page.getByLabel("Your name").fill("Zoe");
  await page.getByRole("button", {name: "Continue"}).click();
  await page.getByRole("button", {name: /Card that pays/}).click();
  const number = await page.locator(".number-plate strong").textContent({timeout: 20_000});
  await expectAccessible(page);
  await staff.evaluate(() => { location.hash = "depot"; });
  const row = staff.locator(".master .table-row", {hasText: number});
  await expect(row).toBeVisible({timeout: 150_000});
  await row.click();
  await staff.getByRole("button", {name: "Accept as reported"}).click();
  await staff.getByRole("button", {name: "To the pickup desk"}).click();
  await expect(staff.getByRole("button", {name: "Take card"})).toBeEnabled({timeout: 20_000});
  await staff.getByRole("button", {name: "Take card"}).click();
  await expect(staff.getByRole("button", {name: "Hand over"})).toBeEnabled({timeout: 20_000});
  await staff.getByRole("button", {name: "Hand over"}).click();
  await expect(staff.getByText("This order is complete.")).toBeVisible({timeout: 20_000});
  await expect(page.locator(".order-head h1")).toHaveText("Handed over. Enjoy!", {timeout: 20_000});
  for (const place of ["floor", "orders", "stores", "customers", "operations"]) {
    await staff.evaluate((hash) => { location.hash = hash; }, place);
    await staff.waitForTimeout(1000);
    await expectAccessible(staff);
  }
});

test("the two pictures of the front page", async ({browser}) => {
  test.skip(!process.env.PICTURES, "PICTURES=1 takes them, from a mall that is busy");
  const folder = "../../docs/pictures";
  const staff = await (await browser.newContext({viewport: {width: 1280, height: 720}})).newPage();
  await staff.goto(process.env.MALL_STAFF);
  await expect(staff.locator("canvas")).toBeVisible({timeout: 20_000});
  await staff.waitForTimeout(2000);
  await staff.screenshot({path: `${folder}/floor.png`});
  const kiosk = await (await browser.newContext({viewport: {width: 1280, height: 720}})).newPage();
  await kiosk.goto(`${process.env.MALL_KIOSK}/`);
  await kiosk.getByRole("button", {name: "Touch to start"}).click();
  await kiosk.locator(".store-card").nth(Number(process.env.STORE ?? 0)).click();
  for (let i = 0; i < 2; ++i) await kiosk.getByRole("button", {name: /^Add /}).first().click();
  await expect(kiosk.locator(".cart-total")).not.toHaveClass(/unsettled/);
  await kiosk.screenshot({path: `${folder}/kiosk.png`});
});
