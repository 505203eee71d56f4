import assert from "node:assert/strict";
import test from "node:test";
import {masked} from "../../../services/gateways/admin/page/customers.js";
import {countOf, countRows} from "../../../services/gateways/admin/page/depot.js";
import {withSample} from "../../../services/gateways/admin/page/operations.js";
import {wanted} from "../../../services/gateways/admin/page/pickup.js";
import {blockAround, depotOf, glide, inTwo, merged, placeOf, wallAround} from "../../../services/gateways/admin/page/plan.js";
import {niceTop, pathOf} from "../../../services/gateways/admin/page/plot.js";
import {takeLink} from "../../../services/gateways/admin/page/sign_in.js";

test("a robot glides from where it is drawn to where it is, and jumps when it was not watched", () => {
  let robots = merged(new Map(), [{id: "b", status: "active", x: 1, y: 1}], 0, false);
  robots = merged(robots, [{id: "b", status: "active", x: 2, y: 1}], 1000, false);
  assert.deepEqual(glide(robots.get("b"), 1200, false), {x: 1.5, y: 1, isMoving: true});
  assert.deepEqual(glide(robots.get("b"), 1400, false), {x: 2, y: 1, isMoving: false});
  robots = merged(robots, [{id: "b", status: "active", x: 30, y: 9}], 2000, false);
  assert.deepEqual(glide(robots.get("b"), 2000, false), {x: 30, y: 9, isMoving: true});
});

test("who wants less motion sees robots step", () => {
  let robots = merged(new Map(), [{id: "b", status: "active", x: 1, y: 1}], 0, true);
  robots = merged(robots, [{id: "b", status: "active", x: 2, y: 1}], 10, true);
  assert.deepEqual(glide(robots.get("b"), 11, true), {x: 2, y: 1, isMoving: false});
});

test("robots without a position are not drawn, gone ones are forgotten", () => {
  const robots = merged(new Map(), [{id: "a", status: "idle"}, {id: "b", status: "idle", x: 0, y: 0}], 0, false);
  assert.deepEqual([...robots.keys()], ["b"]);
  assert.equal(merged(robots, [], 5, false).size, 0);
});

test("a store's name is written across its wall", () => {
  assert.deepEqual(wallAround("@..@@@@@..@", 5), [3, 8]);
  assert.deepEqual(wallAround("@..@@@@@..@", 0), [0, 1]);
  assert.deepEqual(wallAround("@..........", 5), [3, 8]);
  assert.deepEqual(inTwo("Bright & Early Bakery", (text) => text.length < 15), ["Bright & Early", "Bakery"]);
  assert.deepEqual(inTwo("Kettle", () => false), ["Kettle"]);
  assert.deepEqual(placeOf("12, 4"), {x: 12, y: 4});
  assert.equal(placeOf("near the door"), null);
});

test("the depot is the free cell nearest to the corner, its bay what is free around it", () => {
  assert.equal(depotOf(["@@", "@@"]), null);
  const {x, y, bay} = depotOf(["@@@@@@@@@@", "@........@", "@@@@@@@@@@"]);
  assert.deepEqual({x, y}, {x: 1, y: 1});
  assert.deepEqual(bay.map((cell) => cell.x), [1, 2, 3, 4, 5, 6, 7]);
});

test("a store is the rectangle of walls that it stands in", () => {
  const rows = ["@@@@@@@", "@.....@", "@.@@@.@", "@.@@@.@", "@.....@", "@@@@@@@"];
  assert.deepEqual(blockAround(rows, {x: 3, y: 3}), {left: 2, top: 2, width: 3, height: 2});
  assert.equal(blockAround(rows, {x: 1, y: 1}), null);
  assert.equal(blockAround(rows, {x: 0, y: 2}), null);
  assert.equal(blockAround(rows, {x: 90, y: 90}), null);
});

test("the desk finds by number or by phone", () => {
  assert.deepEqual(wanted("+44 7700 900-004"), {phone: "+447700900004"});
  assert.deepEqual(wanted("0044 7700 900004"), {phone: "+447700900004"});
  assert.deepEqual(wanted("D713 5118"), {number: "d7135118"});
  assert.equal(wanted("<script>"), null);
  assert.equal(wanted(" "), null);
});

test("a changed number is hidden as lists hide it", () => {
  assert.equal(masked("+447700900123"), "+44********23");
});

test("what is to be counted is each product once, whatever its stops", () => {
  const item = (id, quantity, picked) => ({product_id: id, product_name: id, quantity, picked});
  const rows = countRows({stops: [{store_name: "S", items: [item("tea", 2, 2), item("cup", 1, 0)]}, {store_name: "T", items: [item("tea", 1, 1)]}]});
  assert.deepEqual(rows.map((row) => [row.product_id, row.wanted, row.picked]), [["tea", 3, 3], ["cup", 1, 0]]);
});

test("a count is a whole number up to what was wanted", () => {
  for (const [text, count] of [["0", 0], [" 3 ", 3], ["4", null], ["-1", null], ["1.5", null], ["", null], ["1e1", null]]) assert.equal(countOf(text, 3), count, text);
});

test("a sample moves the plots on once its step is over, with gaps for what was missed", () => {
  const series = {step_ms: 5000, first_ms: 0, series: [{name: "lag", values: [1, 2, 3]}]};
  assert.equal(withSample(series, {at_ms: 14_999, values: {lag: 9}}), series);
  assert.deepEqual(withSample(series, {at_ms: 15_000, values: {lag: 9}}).series[0].values, [2, 3, 9]);
  const late = withSample(series, {at_ms: 21_000, values: {lag: 9}});
  assert.deepEqual(late.series[0].values, [3, null, 9]);
  assert.equal(late.first_ms, 10_000);
});

test("a plot's scale is a round number, its line has gaps", () => {
  assert.deepEqual([0, 0.3, 7, 10, 11, 460].map(niceTop), [1, 0.5, 10, 10, 20, 500]);
  assert.equal(pathOf([0, null, 1], 1, 100, 10), "M0.0 10.0M100.0 0.0");
  assert.equal(pathOf([], 1, 100, 10), "");
});

test("the token of a link is taken out of the address", () => {
  const past = [];
  const place = {hash: "#link=abc-123_~.", pathname: "/", search: ""};
  assert.equal(takeLink(place, {replaceState: (...asked) => past.push(asked[2])}), "abc-123_~.");
  assert.deepEqual(past, ["/"]);
  assert.equal(takeLink({hash: "#orders"}, null), null);
});
