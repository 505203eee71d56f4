import assert from "node:assert/strict";
import test from "node:test";
import {ago, bytes, compact, duration, grouped, minorOf, money, numberTyped, orderNumber, plural, wholeNumber, words} from "../../../services/gateways/page/format.js";

const gbp = (minor) => ({minor, currency: "GBP"});

test("money is whole pennies, grouped, with the sign in front", () => {
  for (const [minor, text] of [[0, "£0.00"], [5, "£0.05"], [1250, "£12.50"], [125000, "£1,250.00"], [-30, "−£0.30"], [123456789012, "£1,234,567,890.12"]]) {
    assert.equal(money(gbp(minor)), text);
  }
  assert.equal(money({minor: 100, currency: "CHF"}), "1.00 CHF");
  assert.equal(money(null), "–");
  assert.equal(money({minor: "12", currency: "GBP"}), "–");
});

test("an amount that was typed becomes pennies, or nothing at all", () => {
  for (const [text, minor] of [["12", 1200], ["12.5", 1250], [" £1,250.00 ", 125000], ["0.05", 5], ["1.999", null], ["", null], ["-1", null], ["1e3", null], ["12,50", null]]) {
    assert.equal(minorOf(text), minor, text);
  }
});

test("what money writes, minorOf reads back", () => {
  for (let minor = 0; minor < 300_000; minor += 37) assert.equal(minorOf(money(gbp(minor))), minor);
});

test("numbers are short where they are glanced at", () => {
  assert.equal(grouped(1234567), "1,234,567");
  assert.equal(compact(9999), "9,999");
  assert.equal(compact(48210), "48 k");
  assert.equal(compact(1234567), "1.2 M");
  assert.equal(compact(NaN), "–");
  assert.equal(bytes(1536), "1.5 KiB");
  assert.equal(bytes(3 * 2 ** 30), "3 GiB");
  assert.equal(plural(1, "match", "matches"), "1 match");
  assert.equal(plural(2000, "item"), "2,000 items");
});

test("times are read at a glance", () => {
  assert.equal(duration(45), "45 ms");
  assert.equal(duration(1500), "1.5 s");
  assert.equal(duration(95_000), "1 min 35 s");
  assert.equal(duration(754_000), "12 min 34 s");
  assert.equal(duration(7_200_000), "2 h");
  assert.equal(duration(-3), "0 ms");
  assert.equal(ago(1000, 3000), "just now");
  assert.equal(ago(1000, 91_000), "1 min ago");
  assert.equal(ago(0, 5), "–");
});

test("an order number is said in two groups and found again as typed", () => {
  assert.equal(orderNumber("d7135118-2236-4b24-871d-d9f0dd3cffef"), "D713 5118");
  assert.equal(orderNumber("O42"), "O42");
  assert.equal(numberTyped("D713 5118"), "d7135118");
  assert.equal(numberTyped(" d713-51 "), "d71351");
  assert.equal(numberTyped("O42"), "O42");
  assert.equal(orderNumber("7k3mxq9t2v4w8abc"), "7K3M XQ9T");
  assert.equal(wholeNumber("7k3mxq9t2v4w8abc"), "7k3m xq9t 2v4w 8abc");
  assert.equal(wholeNumber("d7135118-2236-4b24-871d-d9f0dd3cffef"), "d7135118-2236-4b24-871d-d9f0dd3cffef");
  assert.equal(numberTyped("7K3M XQ9T 2V4W 8ABC"), "7k3mxq9t2v4w8abc");
  assert.equal(numberTyped("d7135118-2236-4b24-871d-d9f0dd3cffef"), "d7135118-2236-4b24-871d-d9f0dd3cffef");
});

test("an event's name is read as words", () => {
  assert.equal(words("orders.ShoppingListInventoried"), "Shopping list inventoried");
});
