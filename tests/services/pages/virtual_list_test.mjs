import assert from "node:assert/strict";
import test from "node:test";
import {columnsOf, moved, scrollTo, windowOf} from "../../../services/gateways/page/virtual_list.js";

test("of ten thousand rows only those in sight are drawn", () => {
  const shown = windowOf({scrollTop: 44 * 5000, height: 440, rowHeight: 44, count: 10_000, overscan: 6});
  assert.deepEqual(shown, {first: 4994, last: 5016});
  assert.deepEqual(windowOf({scrollTop: 0, height: 440, rowHeight: 44, count: 3}), {first: 0, last: 3});
  assert.deepEqual(windowOf({scrollTop: 0, height: 440, rowHeight: 44, count: 0}), {first: 0, last: 0});
});

test("every row is drawn at some scroll position, none outside the list", () => {
  for (let count = 1; count < 60; count += 7) {
    const seen = new Set();
    for (let top = -10; top < count * 20 + 50; top += 13) {
      const {first, last} = windowOf({scrollTop: top, height: 50, rowHeight: 20, count, overscan: 1});
      assert.ok(first >= 0 && last <= count && first <= last);
      for (let row = first; row < last; ++row) seen.add(row);
    }
    assert.equal(seen.size, count);
  }
});

test("columns fill the width", () => {
  assert.deepEqual(columnsOf({width: 1000, least: 300, gap: 20}), {columns: 3, columnWidth: 320});
  assert.deepEqual(columnsOf({width: 100, least: 300, gap: 20}), {columns: 1, columnWidth: 100});
});

test("keys lead from row to row and stop at both ends", () => {
  assert.equal(moved("ArrowDown", 3, 10, 5), 4);
  assert.equal(moved("ArrowUp", 0, 10, 5), 0);
  assert.equal(moved("PageDown", 8, 10, 5), 9);
  assert.equal(moved("End", 0, 10_000, 5), 9_999);
  assert.equal(moved("ArrowRight", 3, 10, 5), null);
  assert.equal(moved("ArrowRight", 3, 10, 5, 3), 4);
  assert.equal(moved("ArrowDown", 3, 10, 5, 3), 6);
  assert.equal(moved("x", 3, 10, 5), null);
});

test("a row out of sight is scrolled to, a row in sight is left where it is", () => {
  const of = (index) => scrollTo({index, scrollTop: 100, height: 100, rowHeight: 20});
  assert.equal(of(6), 100);
  assert.equal(of(2), 40);
  assert.equal(of(20), 320);
});
