// One real mall for all tests of a worker, and two kinds of hands: a mouse, and a keyboard alone.

import {expect, expectAccessible, test as base} from "../helpers.mjs";
import {RealMall} from "./mall.mjs";

export {expect};

let phones = 0;
/** A number that no test has used yet. */
export const newPhone = () => `+4477009${String(process.pid % 100).padStart(2, "0")}${String(++phones).padStart(3, "0")}`;
export const show = (page, place) => page.evaluate((hash) => { location.hash = hash; }, place);

export const test = base.extend({
  mock: async ({}, use) => use(null),
  bots: [40, {option: true, scope: "worker"}],
  real: [async ({bots}, use) => {
    const mall = await RealMall.open({bots});
    try {
      mall.shop = await mall.store({id: "greengrocer", name: "Greengrocer Pike", products: ["Apples", "Pears", "Plums", "Rye loaf"].map((name) => ({name}))});
      await use(mall);
    } finally { await mall.close(); }
  }, {scope: "worker", timeout: 90_000}],
  /** Pages that are signed in, each with a session of its own: as(role, place). */
  as: async ({browser, real}, use) => {
    const contexts = [];
    const wrong = [];
    await use(async (role, place = "", {address = real.admin, before = () => {}} = {}) => {
      const context = await browser.newContext({viewport: {width: 1280, height: 800}});
      contexts.push(context);
      const page = await context.newPage();
      page.on("pageerror", (error) => wrong.push(`thrown: ${error.message}`));
      page.on("console", (message) => { if (message.type() === "error" && !/Failed to load resource|WebSocket connection/.test(message.text())) wrong.push(message.text()); });
      before(page);
      await page.goto(`${address}/#${place}`);
      await page.getByLabel("Name").fill(role);
      await page.getByLabel("Password").fill("a staff's password");
      await page.getByRole("button", {name: "Sign in"}).click();
      await expect(page.locator(".pill")).toHaveText("Live", {timeout: 20_000});
      return page;
    });
    for (const context of contexts) await context.close();
    expect(wrong).toEqual([]);
  },
});

/** axe, light and dark, on what the page shows now. */
export async function expectAccessibleInBoth(page) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({colorScheme});
    await expectAccessible(page);
  }
  await page.emulateMedia({colorScheme: null});
}

/** Who works a page: press(locator) and type(locator, text). By mouse, or by keyboard without ever touching one. */
export const kHands = {
  mouse: (page) => ({
    press: (target) => target.click(),
    async type(target, text) {
      await target.click({clickCount: 3});
      await page.keyboard.type(text);
    },
  }),
  keyboard: (page) => {
    const to = async (target) => {
      await expect(target).toBeVisible();
      for (let steps = 0; steps < 250; ++steps) {
        if (await target.evaluate((element) => element === document.activeElement)) return;
        await page.keyboard.press("Tab");
      }
      throw new Error(`the keyboard does not reach ${target}`);
    };
    return {
      async press(target) {
        const row = await target.evaluate((element) => (element.matches(".table-row") ? element.getAttribute("aria-rowindex") : null));
        if (row === null) await to(target);
        else {
          await to(target.page().locator(".master .table-row[tabindex='0']"));
          for (let at = -1, steps = 0; String(at) !== row && steps < 250; ++steps) {
            at = Number(await page.locator(".table-row:focus").getAttribute("aria-rowindex"));
            if (String(at) !== row) await page.keyboard.press(at < Number(row) ? "ArrowDown" : "ArrowUp");
          }
        }
        await page.keyboard.press("Enter");
      },
      async type(target, text) {
        await to(target);
        await page.keyboard.press("ControlOrMeta+a");
        await page.keyboard.type(text);
      },
    };
  },
};
