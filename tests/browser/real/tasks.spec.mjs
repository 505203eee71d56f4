// Each task of the staff, by mouse and by keyboard alone, in the real mall.

import {existsSync} from "node:fs";
import {spawnSync} from "node:child_process";
import {join} from "node:path";
import {expect, kHands, newPhone, test} from "./helpers.mjs";

test.setTimeout(300_000);

for (const [kind, handsOf] of Object.entries(kHands)) {
  test.describe(`by ${kind}`, () => {
    const name = (text) => `${text} by ${kind}`;
    const go = (page, hands, view) => hands.press(page.getByRole("link", {name: new RegExp(`^${view}`)}));
    const button = (page, label) => page.getByRole("button", {name: label, exact: true});
    const chip = (page) => page.locator(".detail-head .chip");

    test("a store is added, let in, renamed, filled, priced, emptied and left", async ({as}) => {
      const page = await as("store-admin", "floor");
      const hands = handsOf(page);
      const dialog = page.getByRole("dialog");
      await go(page, hands, "Stores");
      await hands.press(button(page, "New store"));
      await hands.type(dialog.getByLabel("Name"), name("Bakery"));
      await hands.type(dialog.getByLabel("Place on the floor plan"), "12,4");
      await hands.press(button(page, "Add the store"));
      await expect(chip(page)).toHaveText("Private", {timeout: 20_000});
      await hands.press(button(page, "Let take part"));
      await expect(chip(page)).toHaveText("Taking part");
      await hands.press(button(page, "Rename"));
      await hands.type(dialog.getByLabel("Name"), name("Fine bakery"));
      await hands.press(dialog.getByRole("button", {name: "Rename"}));
      await expect(page.locator(".detail-head h2")).toHaveText(name("Fine bakery"));
      await hands.press(button(page, "New product"));
      await hands.type(dialog.getByLabel("Name"), "Sourdough loaf");
      await hands.type(dialog.getByLabel("Stock code"), "SOUR-1");
      await hands.type(dialog.getByLabel("Price, £"), "4.35");
      await hands.press(button(page, "Add it"));
      await expect(page.locator(".goods .table-row", {hasText: "Sourdough"})).toContainText("£4.35", {timeout: 20_000});
      await hands.press(button(page, "Price of Sourdough loaf"));
      await hands.type(dialog.getByLabel("Price, £"), "4.50");
      await hands.press(button(page, "Change the price"));
      await expect(page.locator(".goods .table-row")).toContainText("£4.50");
      await hands.press(button(page, "Edit Sourdough loaf"));
      await hands.type(dialog.getByLabel("Description"), "Baked this morning");
      await hands.press(button(page, "Save"));
      await expect(page.locator(".goods .table-row")).toContainText("Baked this morning");
      await hands.press(button(page, "Remove Sourdough loaf"));
      await hands.press(button(page, "Remove"));
      await expect(page.locator(".goods .table-row")).toHaveCount(0);
      await hands.press(button(page, "End participation"));
      await hands.press(button(page, "End it"));
      await expect(chip(page)).toHaveText("Private");
    });

    test("an owner asks to take part; a store admin denies, then approves", async ({real, as}) => {
      const id = `asks-${kind}`;
      real.hire(`owner-${kind}`, "store-owner", "--store", id);
      await real.boss.send("POST", "stores", {id, name: name("Asks"), location: "5,9"});
      const page = await as(`owner-${kind}`, "floor");
      const hands = handsOf(page);
      await go(page, hands, "Stores");
      await hands.press(page.locator(".master .table-row", {hasText: "Asks"}));
      await hands.press(button(page, "Ask to take part"));
      await expect(chip(page)).toHaveText("Requested");
      const admin = await as("store-admin", "floor");
      const others = handsOf(admin);
      await go(admin, others, "Stores");
      await others.press(admin.locator(".master .table-row", {hasText: name("Asks")}));
      await others.press(button(admin, "Deny"));
      await others.type(admin.getByLabel("Reason"), "No licence yet");
      await others.press(admin.getByRole("dialog").getByRole("button", {name: "Deny"}));
      await expect(chip(admin)).toHaveText("Private");
      await expect(page.locator(".master .chip")).toHaveText("Private", {timeout: 20_000});
      await expect(chip(page)).toHaveText("Private", {timeout: 20_000});
      await hands.press(button(page, "Ask to take part"));
      await expect(chip(page)).toHaveText("Requested");
      await hands.press(button(page, "Take the request back"));
      await expect(chip(page)).toHaveText("Private");
      await hands.press(button(page, "Ask to take part"));
      await expect(chip(admin)).toHaveText("Requested", {timeout: 20_000});
      await others.press(button(admin, "Approve"));
      await expect(chip(page)).toHaveText("Taking part", {timeout: 20_000});
    });

    test("a robot's load is corrected, another accepted; both are found, paid and handed over", async ({real, as}) => {
      const phone = newPhone();
      const orders = [];
      for (const who of ["Corrected", "Accepted"]) orders.push(await real.order({products: real.shop.products.slice(0, 2), quantity: 2, phone, name: name(who)}));
      for (const order of orders) await real.atDepot(order.id);
      const page = await as("depot-staff", "floor");
      const hands = handsOf(page);
      const number = (order) => order.id.replaceAll("-", "").slice(0, 4).toUpperCase();
      await go(page, hands, "Depot");
      await hands.press(page.locator(".master .table-row", {hasText: number(orders[0])}));
      await hands.type(page.locator(".counts input").first(), "1");
      await hands.press(button(page, "Save the counts"));
      await expect(page.getByRole("heading", {name: "Checked in"})).toBeVisible({timeout: 20_000});
      await hands.press(page.locator(".master .table-row", {hasText: number(orders[1])}));
      await hands.press(button(page, "Accept as reported"));
      await expect(page.getByRole("heading", {name: "Checked in"})).toBeVisible({timeout: 20_000});
      await hands.press(button(page, "To the pickup desk"));
      await expect(button(page, "Take card")).toBeEnabled({timeout: 20_000});
      await hands.press(button(page, "Take card"));
      await expect(button(page, "Hand over")).toBeEnabled({timeout: 20_000});
      await hands.press(button(page, "Hand over"));
      await expect(page.getByText("This order is complete.")).toBeVisible({timeout: 20_000});
      await hands.type(page.getByLabel("Order number or phone"), phone);
      await hands.press(button(page, "Find"));
      await expect(page.locator(".list-title")).toHaveText("2 orders found");
      await hands.press(page.locator(".master .table-row", {hasText: number(orders[0])}));
      await expect(page.locator(".invoice")).toContainText("Not there at the depot");
      await hands.press(button(page, "Take cash"));
      await expect(button(page, "Hand over")).toBeEnabled({timeout: 20_000});
      await hands.press(button(page, "Hand over"));
      await expect(page.getByText("This order is complete.")).toBeVisible({timeout: 20_000});
      expect((await real.orderNow(orders[0].id)).invoice).toMatchObject({amount: {minor: 750}, paid: {minor: 750}});
    });

    test("an order is cancelled; a customer is disabled, enabled, given another number; dead letters are retried and purged", async ({real, as}) => {
      const order = await real.order({products: [real.shop.products[2]], phone: newPhone(), name: name("Ann")});
      await real.atDepot(order.id);
      const page = await as("depot-admin", "floor");
      const hands = handsOf(page);
      const dialog = page.getByRole("dialog");
      await go(page, hands, "Orders");
      await hands.type(page.getByLabel("Find an order"), name("Ann"));
      await hands.press(page.locator(".master .table-row", {hasText: name("Ann")}));
      await hands.press(button(page, "Cancel order"));
      await hands.type(dialog.getByLabel("Reason, as the customer reads it"), "The shelf fell over");
      await hands.press(button(page, "Cancel the order"));
      await expect(chip(page)).toHaveText("Cancelled", {timeout: 20_000});
      await expect(page.locator(".timeline")).toContainText("The shelf fell over", {timeout: 20_000});
      await go(page, hands, "Customers");
      await hands.type(page.getByLabel("Find a customer by name"), name("Ann"));
      await hands.press(page.locator(".master .table-row", {hasText: name("Ann")}));
      await hands.press(button(page, "Disable"));
      await hands.press(dialog.getByRole("button", {name: "Disable"}));
      await expect(chip(page)).toHaveText("May not order");
      await hands.press(button(page, "Enable"));
      await expect(chip(page)).toHaveText("May order");
      await hands.press(button(page, "Change number"));
      const number = newPhone();
      await hands.type(dialog.getByLabel("Phone number"), number);
      await hands.press(button(page, "Change the number"));
      await expect(page.locator(".detail .facts")).toContainText(number);

      // What nobody can read, as a command to payments: letters that stay unreadable when they are retried.
      const tool = join(real.bin, "mallbots");
      expect(existsSync(tool), "the command mallbots is built").toBe(true);
      for (const text of ["unreadable one", "unreadable two"]) {
        const said = spawnSync(tool, ["produce", "commands.ReleasePayment", "--runtime-dir", real.place[1]], {input: text, encoding: "utf8"});
        expect(said.status, said.stderr).toBe(0);
      }
      await go(page, hands, "Operations");
      await expect(button(page, "Look inside").first()).toBeVisible({timeout: 60_000});
      await hands.press(button(page, "Look inside").first());
      await expect(page.locator(".letter-box .table-row")).not.toHaveCount(0, {timeout: 20_000});
      await hands.press(button(page, "Retry all"));
      await expect(page.locator(".letter-box .table-row")).not.toHaveCount(0, {timeout: 60_000}); // unreadable still: they come back
      await hands.press(page.getByRole("button", {name: /^Purge nameless/}).first());
      await hands.press(button(page, "Purge"));
      await hands.press(button(page, "Purge all"));
      await hands.press(button(page, "Purge"));
      await expect(page.getByText("Nothing left here")).toBeVisible({timeout: 20_000});
      await hands.press(page.getByRole("button", {name: "All boxes"}));
    });

    test("who signs in and out, and chooses light or dark", async ({real, page}) => {
      const hands = handsOf(page);
      await page.goto(`${real.admin}/`);
      await hands.type(page.getByLabel("Name"), "depot-staff");
      await hands.type(page.getByLabel("Password"), "a staff's password");
      await hands.press(button(page, "Sign in"));
      await expect(page.locator(".pill")).toHaveText("Live", {timeout: 20_000});
      await hands.press(button(page, "Light or dark"));
      expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark");
      await page.reload();
      await expect(page.locator(".pill")).toHaveText("Live", {timeout: 20_000});
      expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark");
      await hands.press(button(page, "Sign out"));
      await expect(page.getByRole("heading", {name: "MallBots staff"})).toBeVisible();
    });
  });
}
