// Every view and state, upright and lying, light and dark, as PNG in build/browser: for people to look at.

import {fillCart, giveDetails, signIn, test} from "./helpers.mjs";

const folder = "../../build/browser";
const sizes = {upright: {width: 1080, height: 1920}, lying: {width: 1280, height: 800}};

for (const [size, viewport] of Object.entries(sizes)) {
  for (const colorScheme of ["light", "dark"]) {
    const taker = (page, which) => async (name, wait = 350) => {
      await page.waitForTimeout(wait);
      await page.screenshot({path: `${folder}/${which}-${size}-${colorScheme}-${name}.png`});
    };
    test.describe(`${size} ${colorScheme}`, () => {
      test.use({viewport, colorScheme});
      test.setTimeout(180_000);

      test("kiosk", async ({page, mock}) => {
        const take = taker(page, "kiosk");
        await page.goto(`${mock.kiosk}/?idle=3600`);
        await take("01-start");
        mock.trouble = {delay_ms: 900};
        await page.getByRole("button", {name: "Touch to start"}).click();
        await take("02-loading", 200);
        mock.trouble = {};
        await page.waitForSelector(".store-card");
        await take("03-stores");
        await page.getByLabel("Find a store").focus();
        await take("04-search");
        await page.getByLabel("Find a store").fill("zzz");
        await take("05-nothing-found");
        mock.trouble = {status: 503, match: "/products"};
        await page.getByRole("button", {name: "Show everything"}).click();
        await page.getByRole("button", {name: "Done"}).click();
        await page.getByText("Greengrocer Pike").click();
        await page.getByText("does not answer").first().waitFor({timeout: 20_000});
        await take("06-error");
        mock.trouble = {};
        await fillCart(page, mock);
        await page.getByRole("button", {name: /^Add /}).nth(2).click();
        await take("07-products");
        if (size === "upright") {
          await page.locator(".cart-toggle").click();
          await take("08-cart");
        }
        const [first] = [...mock.mall.carts.values()].at(-1).items;
        const product = mock.mall.products.find((row) => row.id === first.product_id);
        product.price = {minor: product.price.minor + 30, currency: "GBP"};
        await page.getByRole("button", {name: "Review order"}).click();
        await take("09-review");
        await page.getByRole("button", {name: "Add more"}).click();
        await giveDetails(page);
        await take("10-card");
        await page.getByRole("button", {name: /Declined card/}).click();
        await take("11-declined");
        await page.getByRole("button", {name: "Back"}).click();
        await take("12-you");
        await page.getByLabel("Your name").focus();
        await take("13-name");
        await page.getByRole("button", {name: "Continue"}).click();
        await page.getByRole("button", {name: /Card that pays/}).click();
        await page.locator(".number-plate").waitFor();
        await take("14-order");
        const order = [...mock.mall.orders.values()].at(-1);
        await page.waitForTimeout(5500);
        await take("15-under-way");
        await page.getByRole("button", {name: "Cancel order"}).click();
        await take("16-cancel");
        await page.getByRole("button", {name: "Close"}).click();
        await page.waitForTimeout(4000);
        mock.mall.count(order, null);
        await take("17-ready", 2600);
        mock.mall.cancel(order, "The store had a flood");
        await take("18-cancelled", 2600);
        await page.getByRole("button", {name: "Done"}).click();
        await page.getByRole("button", {name: "Touch to start"}).click();
        await page.getByRole("button", {name: "Follow an order"}).click();
        await take("20-follow");
        await page.getByLabel("Order number").fill("0000 0000");
        await page.getByRole("button", {name: "Continue"}).click();
        await page.getByRole("button", {name: /Another card/}).click();
        await page.getByText("do not belong together").waitFor();
        await take("21-follow-refused");
        await page.goto(`${mock.kiosk}/?idle=1&warning=9`);
        await page.getByRole("button", {name: "Touch to start"}).click();
        await page.getByText("Are you still there?").waitFor();
        await take("19-idle", 900);
      });

      test.describe("staff", () => {
        test.use({mall: {bots: 140, orders: 240}});
        test("views", async ({page, mock}) => {
          const take = taker(page, "staff");
          const to = (hash) => page.evaluate((place) => { location.hash = place; }, hash);
          await page.goto(`${mock.admin}/`);
          await take("01-sign-in");
          await page.getByLabel("Name").fill("x");
          await page.getByLabel("Password").fill("y");
          await page.keyboard.press("Enter");
          await take("02-wrong");
          await signIn(page, mock);
          await page.locator(".robots .table-row").nth(2).click();
          await take("03-floor", 900);
          const orders = [...mock.mall.orders.values()];
          const ready = orders.filter((row) => row.status === "ready");
          const adjusted = ready.find((row) => mock.mall.invoices.get(row.id).adjustment.minor < 0) ?? ready[0];
          const list = [...mock.mall.lists.values()].find((row) => row.phase === "at-depot");
          for (const [name, place] of [["04-orders", "orders"], ["05-order", `orders/${adjusted.id}`], ["06-depot", "depot"], ["07-check-in", `depot/${list.id}`], ["08-pickup", "pickup"],
            ["09-desk", `pickup/${adjusted.id}`], ["10-stores", "stores"], ["11-store", "stores/store-0002"], ["12-customers", "customers"], ["13-customer", `customers/${mock.mall.customers[4].id}`],
            ["14-operations", "operations"], ["15-letters", "operations/orders/mallbots.payments.events"]]) {
            await to(place);
            await take(name, 600);
          }
          await to(`orders/${orders.find((row) => row.status === "approved").id}`);
          await page.getByRole("button", {name: "Cancel order"}).click();
          await take("16-ask");
          await page.keyboard.press("Escape");
          mock.trouble = {delay_ms: 1500};
          await to("customers");
          await take("19-loading", 300);
          mock.trouble = {};
          await to("floor");
          mock.trouble = {socket: "refuse"};
          mock.sockets.forEach((socket) => socket.cut());
          await take("17-stale", 1500);
          mock.trouble = {status: 503};
          await to("customers");
          await page.getByText("No answer").first().waitFor({timeout: 15_000});
          await take("18-error");
        });
        test("store admin and forbidden", async ({page, mock}) => {
          const take = taker(page, "staff");
          await signIn(page, mock, "store-admin", "stores/store-0010");
          await take("20-request", 700);
          await page.getByRole("button", {name: "New product"}).click();
          await take("21-new-product");
          await page.keyboard.press("Escape");
          await page.evaluate(() => { location.hash = "orders"; });
          await take("22-forbidden");
          await page.evaluate(() => { location.hash = "floor"; });
          await take("23-floor-without-robots", 700);
        });
      });

      test.describe("empty", () => {
        test.use({mall: {stores: 0, products: 0, orders: 0, customers: 0, bots: 0, letters: 0}});
        test("views", async ({page, mock}) => {
          const take = taker(page, "staff");
          await signIn(page, mock);
          for (const place of ["floor", "orders", "depot", "pickup", "stores", "customers", "operations"]) {
            await page.evaluate((hash) => { location.hash = hash; }, place);
            await take(`30-empty-${place}`, 500);
          }
        });
      });
    });
  }
}
