// Each role sees and may do its column of admin/README.md's table, and nothing else.

import {readFileSync} from "node:fs";
import {expect, newPhone, show, test} from "./helpers.mjs";

const kFolder = "../../services/gateways/admin";
const kDocument = JSON.parse(readFileSync(`${kFolder}/openapi.json`, "utf8"));
const kViews = {floor: "plan.see", orders: "orders.see", depot: "depot.see", pickup: "pickup.see", stores: "stores.see", customers: "customers.see", operations: "operations.see"};
/** {role: {permission: "yes" | "own" | "-"}} as the page for people says it. */
const kTable = (() => {
  const lines = readFileSync(`${kFolder}/README.md`, "utf8").split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  const begin = lines.findIndex((cells) => cells[1] === "permission" && cells[2] === "store-owner");
  const roles = lines[begin].slice(2, 6);
  const table = Object.fromEntries(roles.map((role) => [role, {}]));
  for (const cells of lines.slice(begin + 2)) {
    if (cells.length < 7) break;
    roles.forEach((role, index) => { table[role][cells[1].replaceAll("`", "")] = cells[2 + index]; });
  }
  return table;
})();
const kCalls = Object.entries(kDocument.paths).flatMap(([path, methods]) => Object.entries(methods).filter(([, call]) => call["x-permission"] && call["x-permission"] !== "session")
  .map(([method, call]) => ({method: method.toUpperCase(), path, permission: call["x-permission"]})));

test.setTimeout(240_000);

for (const role of Object.keys(kTable)) {
  const may = (permission) => kTable[role][permission] !== "-";

  test(`${role}: views, buttons and calls are those of the table`, async ({real, as}) => {
    expect(kCalls.length).toBeGreaterThan(35);
    if (role === "store-owner") await real.store({id: "owners-store", name: "The owner's own", products: [{name: "Tea"}]}).catch(() => null);
    const order = await real.order({products: [real.shop.products[0]], phone: newPhone()});
    const page = await as(role, "floor");
    const words = await page.locator(".nav-link .nav-word").allTextContents();
    expect(words.map((word) => word.toLowerCase())).toEqual(Object.keys(kViews).filter((view) => may(kViews[view])));
    for (const [view, permission] of Object.entries(kViews)) {
      await show(page, view);
      await expect(page.getByText("Not for your role")).toHaveCount(may(permission) ? 0 : 1);
    }

    // What does not exist, asked for in each way there is: who may is told that it is not there, who may not is told that.
    const answers = await page.evaluate(async (calls) => Promise.all(calls.map(async ({method, path}) => {
      const answer = await fetch(path.replace(/\{\w+\}/g, "no-such-thing"), {method, headers: {"Idempotency-Key": crypto.randomUUID(), ...(method === "GET" ? {} : {"Content-Type": "application/json"})}, body: method === "GET" ? undefined : "{}"});
      return answer.status;
    })), kCalls);
    const wrong = kCalls.map((call, index) => ({...call, status: answers[index]})).filter(({permission, status}) => (status === 403) === may(permission) || status === 401 || status >= 500);
    expect(wrong).toEqual([]);

    const buttons = async (place, waitFor, wanted) => {
      await show(page, place);
      await expect(page.locator(waitFor).first()).toBeVisible({timeout: 20_000});
      for (const [name, permission] of Object.entries(wanted)) await expect(page.getByRole("button", {name, exact: true}), `${name} for ${role}`).toHaveCount(may(permission) ? 1 : 0);
    };
    if (may("orders.see")) await buttons(`orders/${order.id}`, ".detail .invoice, .detail .timeline li", {"Cancel order": "orders.cancel"});
    if (may("depot.see")) {
      const list = await real.atDepot(order.id);
      await buttons(`depot/${list.id}`, ".detail .counts li", {"Accept as reported": "depot.count", "Save the counts": "depot.count"});
      await buttons(`pickup/${order.id}`, ".detail .invoice", {"Take card": "pickup.settle", "Take cash": "pickup.settle", "Hand over": "pickup.settle"});
    }
    await buttons("stores", ".master .table-row", {"New store": "stores.create"});
    await buttons(role === "store-owner" ? "stores/owners-store" : "stores/greengrocer", ".detail-head h2",
      {"Rename": "stores.edit", "End participation": "stores.edit", "New product": "products.edit"});
    if (role === "store-owner") {
      await expect(page.locator(".master .table-row")).toHaveCount(1);
      await show(page, "stores/greengrocer");
      await expect(page.locator(".detail")).toContainText("Not found");
    }
    if (may("customers.see")) {
      await show(page, "customers");
      await page.locator(".master .table-row").first().click();
      await expect(page.getByRole("button", {name: "Change number"})).toHaveCount(may("customers.edit") ? 1 : 0);
    }
    // The socket tells no more than the table: what is not for the role is refused there too.
    const topics = {orders: "orders.see", lists: "depot.see", bots: "bots.see", invoices: "pickup.see", stores: "stores.see", ops: "operations.see"};
    const told = await page.evaluate((names) => new Promise((resolve) => {
      const said = {};
      const socket = new WebSocket(`ws://${location.host}/admin/v1/socket`);
      socket.onopen = () => names.forEach((topic) => socket.send(JSON.stringify({op: "subscribe", topic})));
      socket.onmessage = ({data}) => {
        const message = JSON.parse(data);
        if (message.topic) said[message.topic] = message.op === "refused" ? "refused" : message.rows.map((row) => row.id).concat(said[message.topic] ?? []);
        if (Object.keys(said).length === names.length) { socket.close(); resolve(said); }
      };
    }), Object.keys(topics));
    for (const [topic, permission] of Object.entries(topics)) expect(told[topic] === "refused", `${topic} for ${role}`).toBe(!may(permission));
    if (role === "store-owner") expect(told.stores).toEqual(["owners-store"]);
  });
}
