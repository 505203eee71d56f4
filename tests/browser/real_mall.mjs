// One human order in a real mall that `make up` or `mall up` runs already, robots included:
//   MALL_KIOSK=http://127.0.0.1:8601 MALL_STAFF='http://127.0.0.1:8602/#link=TOKEN' npx playwright test
// A simulated staff must not be at work: the depot and the desk are this test's.

import {expect, expectAccessible, test, touchToReleased} from "./helpers.mjs";

test.use({mock: async ({}, use) => use(null)});
test.setTimeout(240_000);

test("from first touch to released, in two windows", async ({page, browser}) => {
  const staff = await (await browser.newContext({viewport: {width: 1280, height: 800}})).newPage();
  await staff.goto(process.env.MALL_STAFF);
  await expect(staff.locator(".pill")).toHaveText("Live", {timeout: 20_000});
  await expect(staff.locator("canvas")).toBeVisible();
  await touchToReleased({page, staff, kiosk: process.env.MALL_KIOSK});
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
