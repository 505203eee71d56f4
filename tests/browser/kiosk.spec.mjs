import {expect, expectAccessible, fillCart, giveDetails, test} from "./helpers.mjs";

const sizes = [["upright", {width: 1080, height: 1920}], ["lying", {width: 1280, height: 800}]];

for (const [name, viewport] of sizes) {
  test.describe(name, () => {
    test.use({viewport});

    test("a customer orders by touch alone and follows the order by itself", async ({page, mock}) => {
      await fillCart(page, mock);
      await giveDetails(page);
      await page.getByRole("button", {name: /Card that pays/}).click();
      await expect(page.getByRole("heading", {name: /Your robot is called/})).toBeVisible();
      await expect(page.locator(".number-plate strong")).toHaveText(/^[0-9A-F]{4} [0-9A-F]{4}$/);
      await expect(page.locator(".progress .now")).toContainText("Robot on its way", {timeout: 15_000});
      const order = [...mock.mall.orders.values()].at(-1);
      expect(order.customer.sms_number).toBe("+447700900999");
      expect(order.customer.name).toBe("Zoe");
    });
  });
}

test("the total is the gateway's, to the penny, after many quick touches", async ({page, mock}) => {
  await fillCart(page, mock);
  const more = page.getByRole("button", {name: /^One .* more$/}).first();
  for (let touches = 0; touches < 12; ++touches) await more.click();
  await expect(page.locator(".cart-total")).not.toHaveClass(/unsettled/);
  const cart = [...mock.mall.carts.values()].at(-1);
  expect(cart.items[0].quantity).toBe(14);
  const total = cart.items.reduce((sum, item) => sum + item.price.minor * item.quantity, 0);
  await expect(page.locator(".cart-total")).toHaveText(`£${(total / 100).toFixed(2)}`);
});

test("changed prices and vanished items are shown and confirmed anew", async ({page, mock}) => {
  await fillCart(page, mock);
  await page.getByRole("button", {name: /^Add /}).first().click();
  await expect(page.locator(".cart-total")).not.toHaveClass(/unsettled/);
  const [first, second] = [...mock.mall.carts.values()].at(-1).items;
  const product = mock.mall.products.find((row) => row.id === first.product_id);
  product.price = {minor: product.price.minor + 100, currency: "GBP"};
  mock.mall.products = mock.mall.products.filter((row) => row.id !== second.product_id);
  await page.getByRole("button", {name: "Review order"}).click();
  await expect(page.getByText("Now dearer")).toBeVisible();
  await expect(page.getByText("Not sold any more: taken out")).toBeVisible();
  await expectAccessible(page);
  await page.getByRole("button", {name: "Confirm the new total"}).click();
  await expect(page.getByRole("heading", {name: "Who collects it?"})).toBeVisible();
});

test("a price that changes while the card is asked leads back to the review", async ({page, mock}) => {
  await fillCart(page, mock);
  await giveDetails(page);
  const product = mock.mall.products.find((row) => row.id === [...mock.mall.carts.values()].at(-1).items[0].product_id);
  product.price = {minor: product.price.minor + 25, currency: "GBP"};
  await page.getByRole("button", {name: /Card that pays/}).click();
  await expect(page.getByText("Now dearer")).toBeVisible();
});

test("a declined card says so and another one pays", async ({page, mock}) => {
  await fillCart(page, mock);
  await giveDetails(page);
  await page.getByRole("button", {name: /Declined card/}).click();
  await expect(page.getByText("The card was declined")).toBeVisible();
  await page.getByRole("button", {name: /Another card/}).click();
  await expect(page.locator(".number-plate")).toBeVisible();
});

test("a busy mall keeps the cart; the same request goes again with the same key", async ({page, mock}) => {
  await fillCart(page, mock);
  await giveDetails(page);
  mock.trouble = {status: 503, match: "/submit"};
  await page.getByRole("button", {name: /Card that pays/}).click();
  await expect(page.getByText("The mall is busy")).toBeVisible({timeout: 15_000});
  mock.trouble = {};
  await page.getByRole("button", {name: "Try again"}).click();
  await expect(page.locator(".number-plate")).toBeVisible();
  const keys = new Set(mock.requests.filter((one) => one.path.endsWith("/submit")).map((one) => one.key));
  expect(keys.size).toBe(1);
});

test("a store that leaves is said beside the touch", async ({page, mock}) => {
  await fillCart(page, mock);
  mock.mall.stores.find((store) => store.name === "Greengrocer Pike").participation = "private";
  await page.getByRole("button", {name: /^Add /}).first().click();
  await expect(page.locator(".toast")).toContainText("does not take part");
  await expect(page.locator(".cart-line")).toHaveCount(1);
});

test("a cart that was abandoned meanwhile is said, and a new one begins", async ({page, mock}) => {
  await fillCart(page, mock);
  [...mock.mall.carts.values()].at(-1).state = "canceled";
  await page.getByRole("button", {name: /^Add /}).first().click();
  await expect(page.locator(".toast")).toContainText("This cart was closed");
  await expect(page.locator(".cart-total")).toHaveText("£0.00");
  await page.getByRole("button", {name: /^Add /}).first().click();
  await expect.poll(() => mock.mall.carts.size).toBe(2);
});

test("a cart that was closed is said at the review too", async ({page, mock}) => {
  await fillCart(page, mock);
  [...mock.mall.carts.values()].at(-1).state = "canceled";
  await page.getByRole("button", {name: "Review order"}).click();
  await expect(page.getByRole("heading", {name: "This cart was closed"})).toBeVisible();
  await page.getByRole("button", {name: "To the stores"}).click();
  await expect(page.locator(".cart-total")).toHaveText("£0.00");
});

test("while a card is asked nobody is sent away", async ({page, mock}) => {
  await fillCart(page, mock);
  await giveDetails(page);
  mock.trouble = {delay_ms: 3000, match: "/submit"};
  await page.getByRole("button", {name: /Card that pays/}).click();
  await expect(page.getByRole("button", {name: "Start over"})).toBeDisabled();
  await expect(page.locator(".number-plate")).toBeVisible();
  await expect(page.getByRole("button", {name: "Start over"})).toBeEnabled();
});

test("who follows an order with a full cart shops on", async ({page, mock}) => {
  await fillCart(page, mock);
  await page.getByRole("button", {name: "Follow an order"}).click();
  await page.getByRole("button", {name: "Back"}).click();
  await expect(page.locator(".cart-line")).toHaveCount(1);
});

test("who reads the items of an order is left alone by its progress", async ({page, mock}) => {
  await fillCart(page, mock);
  await giveDetails(page);
  await page.getByRole("button", {name: /Card that pays/}).click();
  const list = page.locator(".order-items ul");
  await list.focus();
  await expect(page.locator(".progress .now")).toContainText("Robot on its way", {timeout: 15_000});
  await expect(list).toBeFocused();
});

test("nobody there: a warning counts down, a touch stops it, silence empties the cart", async ({page, mock}) => {
  await page.clock.install();
  await fillCart(page, mock);
  await page.clock.runFor(76_000);
  await expect(page.getByRole("dialog")).toContainText("Are you still there?");
  await expectAccessible(page);
  await page.getByRole("button", {name: "I am still here"}).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.clock.runFor(97_000);
  await expect(page.getByRole("button", {name: "Touch to start"})).toBeVisible();
  await expect.poll(() => [...mock.mall.carts.values()].at(-1).state).toBe("canceled");
});

test("an order is found again with number and card, paid, and cancelled only with the right card", async ({page, mock}) => {
  const order = [...mock.mall.orders.values()].find((row) => row.status === "approved");
  await page.goto(`${mock.kiosk}/`);
  await page.getByRole("button", {name: "Touch to start"}).click();
  await page.getByRole("button", {name: "Follow an order"}).click();
  await page.getByLabel("Order number").fill(order.id);
  await page.getByRole("button", {name: "Continue"}).click();
  await page.getByRole("button", {name: /Another card/}).click();
  await expect(page.getByText("Number and card do not belong together")).toBeVisible();
  await page.getByRole("button", {name: /Card that pays/}).click();
  await page.getByRole("button", {name: "Pay now"}).click();
  await page.getByRole("button", {name: /Card that pays/}).click();
  await expect(page.locator(".order-total .chip")).toHaveText("Paid");
  await page.getByRole("button", {name: "Cancel order"}).click();
  await page.getByRole("button", {name: /Card that pays/}).click();
  await expect(page.getByRole("heading", {name: "This order was cancelled"})).toBeVisible();
});

test("an order whose mall is silent says of when it is", async ({page, mock}) => {
  await page.clock.install();
  await fillCart(page, mock);
  await giveDetails(page);
  await page.getByRole("button", {name: /Card that pays/}).click();
  await expect(page.locator(".number-plate")).toBeVisible();
  mock.trouble = {status: 503};
  for (let beats = 0; beats < 10; ++beats) { await page.clock.runFor(2100); await page.waitForTimeout(30); }
  await expect(page.locator(".stale")).toContainText("No answer from the mall");
});

test("everything by keyboard: from start to order number", async ({page, mock}) => {
  await page.goto(`${mock.kiosk}/`);
  await page.getByRole("button", {name: "Touch to start"}).press("Enter");
  await page.locator(".store-card").first().press("ArrowDown");
  await expect(page.locator(".store-card:focus")).toHaveCount(1);
  await page.keyboard.press("Enter");
  await page.getByRole("button", {name: /^Add /}).first().press("Enter");
  await expect(page.locator(":focus")).toHaveAttribute("aria-label", /more$/);
  await expect(page.locator(".cart-total")).not.toHaveClass(/unsettled/);
  await page.getByRole("button", {name: "Review order"}).press("Enter");
  await page.getByRole("button", {name: "Confirm"}).press("Enter");
  await page.getByLabel("Your phone number").fill("+447700900999");
  await page.keyboard.press("Enter");
  await page.keyboard.type("Zoe");
  await page.keyboard.press("Enter");
  await page.getByLabel("Or a card's token").fill("tok_visa_4242");
  await page.keyboard.press("Enter");
  await expect(page.locator(".number-plate")).toBeVisible();
});

test.describe("hostile text", () => {
  test.use({mall: {hostile: true}});
  test("is shown as text and nothing executes", async ({page, mock}) => {
    await page.goto(`${mock.kiosk}/`);
    await page.getByRole("button", {name: "Touch to start"}).click();
    await page.locator(".store-card").first().click();
    await page.getByRole("button", {name: /^Add /}).first().click();
    await page.getByRole("button", {name: "Review order"}).click();
    await expect(page.locator(".review-line")).toHaveCount(1);
    expect(await page.evaluate(() => window.__hit)).toBeUndefined();
    expect(await page.locator("#app img[src=x], #app script").count()).toBe(0);
  });
});

test.describe("ten thousand products", () => {
  test.use({mall: {stores: 3, products: 10_000, orders: 0}});
  test("scroll, and are found", async ({page, mock}) => {
    await page.goto(`${mock.kiosk}/`);
    await page.getByRole("button", {name: "Touch to start"}).click();
    await page.getByText("Greengrocer Pike").click();
    await expect(page.locator(".product-card").first()).toBeVisible();
    await page.locator(".shelf-list").evaluate((list) => { list.scrollTop = list.scrollHeight / 2; });
    await expect.poll(() => page.locator(".product-card").count()).toBeLessThan(80);
    await page.getByLabel("Find an item").fill("no. 400");
    await expect(page.locator(".shelf [role=status]").first()).toHaveText(/^\d+ match/, {timeout: 20_000});
    await expect.poll(() => page.locator(".product-card").count()).toBeLessThan(25);
  });
});

test("a thousand lines stay usable", async ({page, mock}) => {
  await fillCart(page, mock);
  const cart = [...mock.mall.carts.values()].at(-1);
  const {product_id, ...line} = cart.items[0];
  for (let index = 0; index < 1000; ++index) {
    const id = `many-${index}`;
    mock.mall.products.push({...mock.mall.products[0], id, name: `Many ${index}`, store_id: line.store_id});
    cart.items.push({...line, product_id: id, product_name: `Many ${index}`, price: mock.mall.products[0].price});
  }
  await giveDetails(page);
  await page.getByRole("button", {name: /Card that pays/}).click();
  await expect(page.locator(".order-items h2")).toHaveText("2,002 items");
  await expect(page.getByRole("button", {name: "Done"})).toBeVisible();
});

for (const colorScheme of ["light", "dark"]) {
  test.describe(colorScheme, () => {
    test.use({colorScheme});
    test("no serious or critical finding on any screen", async ({page, mock}) => {
      test.setTimeout(180_000);
      await page.goto(`${mock.kiosk}/`);
      await expectAccessible(page);
      await fillCart(page, mock);
      await expectAccessible(page);
      await page.getByRole("button", {name: "Stores"}).click();
      await expect(page.locator(".store-card").first()).toBeVisible();
      await expectAccessible(page);
      await page.getByRole("button", {name: "Review order"}).click();
      await expect(page.locator(".review-line")).toHaveCount(1);
      await expectAccessible(page);
      await page.getByRole("button", {name: "Add more"}).click();
      await giveDetails(page);
      await expectAccessible(page);
      await page.getByRole("button", {name: /Declined/}).click();
      await expect(page.getByText("The card was declined")).toBeVisible();
      await expectAccessible(page);
      await page.getByRole("button", {name: /Card that pays/}).click();
      await expect(page.locator(".number-plate")).toBeVisible();
      await page.waitForTimeout(400);
      await expectAccessible(page);
    });
    test("no serious or critical finding without stores or answers", async ({page, mock}) => {
      mock.mall.stores.forEach((store) => { store.participation = "private"; });
      await page.goto(`${mock.kiosk}/`);
      await page.getByRole("button", {name: "Touch to start"}).click();
      await expect(page.getByText("No store is open yet")).toBeVisible();
      await expectAccessible(page);
      mock.trouble = {status: 401, type: "no-credential"};
      await page.reload();
      await page.getByRole("button", {name: "Touch to start"}).click();
      await expect(page.getByText("This kiosk is not signed in")).toBeVisible();
      await expectAccessible(page);
    });
  });
}
