// A mall of its own for each test, and a page that fails when anything is wrong in its console.

import AxeBuilder from "@axe-core/playwright";
import {test as base, expect} from "@playwright/test";
import {startMock} from "./mock/server.mjs";

export {expect};

/** test.use({mall: {...}}) says how the mall is; `mock` is its handle. What the page's console complains of fails the test. */
export const test = base.extend({
  mall: [{}, {option: true}],
  mock: async ({mall}, use) => {
    const mock = await startMock(mall);
    await use(mock);
    await mock.close();
  },
  page: async ({page}, use) => {
    const wrong = [];
    page.on("pageerror", (error) => wrong.push(`thrown: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error" && !/Failed to load resource|WebSocket connection/.test(message.text())) wrong.push(message.text());
    });
    await use(page);
    expect(wrong).toEqual([]);
  },
});

export async function expectAccessible(page) {
  const {violations} = await new AxeBuilder({page}).analyze();
  const grave = violations.filter((finding) => ["serious", "critical"].includes(finding.impact));
  expect(grave.map((finding) => `${finding.id}: ${finding.nodes.map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).slice(0, 3).join(" | ")}`)).toEqual([]);
}

export async function signIn(page, mock, role = "depot-admin", place = "") {
  await page.goto(`${mock.admin}/`);
  await page.getByLabel("Name").fill(role);
  await page.getByLabel("Password").fill(role);
  await page.getByRole("button", {name: "Sign in"}).click();
  await expect(page.locator(".pill")).toHaveText("Live");
  if (place) await page.evaluate((hash) => { location.hash = hash; }, place);
}

/** A customer's way up to the card. */
export async function fillCart(page, mock) {
  await page.goto(`${mock.kiosk}/`);
  await page.getByRole("button", {name: "Touch to start"}).click();
  await page.getByText("Greengrocer Pike").click();
  await page.getByRole("button", {name: /^Add /}).first().click();
  await page.getByRole("button", {name: /^One .* more$/}).first().click();
  await expect(page.locator(".cart-total")).not.toHaveClass(/unsettled/);
}

export async function giveDetails(page) {
  await page.getByRole("button", {name: "Review order"}).click();
  await page.getByRole("button", {name: /^Confirm/}).click();
  for (const digit of "7700900999") await page.getByRole("button", {name: digit, exact: true}).click();
  await page.getByRole("button", {name: "Continue"}).click();
  for (const letter of "Zoe") await page.locator(".key", {hasText: new RegExp(`^${letter}$`, "i")}).click();
  await page.getByRole("button", {name: "Continue"}).click();
}

/** An order of a real mall from the first touch at the kiosk until it is handed over, with depot and desk in the staff's window. */
export async function touchToReleased({page, staff, kiosk, phone = "+447700900321"}) {
  await page.goto(`${kiosk}/`);
  await page.getByRole("button", {name: "Touch to start"}).click();
  await page.locator(".store-card").first().click();
  await page.getByRole("button", {name: /^Add /}).first().click();
  await expect(page.locator(".cart-total")).not.toHaveClass(/unsettled/);
  await page.getByRole("button", {name: "Review order"}).click();
  await page.getByRole("button", {name: /^Confirm/}).click();
  await page.getByLabel("Your phone number").fill(phone);
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
}
