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
