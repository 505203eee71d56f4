// Lines over time, as SVG with a table for who cannot see it. Pure shapes, then elements.

import {h, svg} from "../../page/dom.js";
import {clock, compact} from "../../page/format.js";

/** The smallest of 1, 2, 5 times a power of ten that is at least `value`. */
export function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5, 10]) if (step * power >= value) return step * power;
  return 10 * power;
}

/** Values -> an SVG path; null values are gaps. */
export function pathOf(values, top, width, height) {
  let path = "";
  let isDown = false;
  values.forEach((value, index) => {
    if (value === null || !Number.isFinite(value)) { isDown = false; return; }
    const x = values.length > 1 ? index * width / (values.length - 1) : 0;
    const y = height - Math.min(1, Math.max(0, value / top)) * height;
    path += `${isDown ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    isDown = true;
  });
  return path;
}

const kWidth = 320;
const kHeight = 96;

/** lines: [{name, values}], one unit. */
export function plot({title, unit, lines, first_ms, step_ms}) {
  const all = lines.flatMap((line) => line.values).filter((value) => Number.isFinite(value));
  const top = niceTop(Math.max(0, ...all));
  const last_ms = first_ms + step_ms * Math.max(0, (lines[0]?.values.length ?? 1) - 1);
  const newest = (line) => line.values.findLast((value) => value !== null);
  const said = lines.map((line) => `${line.name} ${compact(newest(line) ?? NaN)}`).join(", ");
  return h("figure.plot", {}, h("figcaption", {}, h("h3", {}, title), h("span.quiet", {}, unit)),
    h("div.plot-now", {}, lines.map((line, index) => h("span", {class: `line-${index}`}, lines.length > 1 && h("small", {}, `${line.name} `), h("strong.num", {}, compact(newest(line) ?? NaN))))),
    all.length ? svg("svg", {viewBox: `-1 -4 ${kWidth + 2} ${kHeight + 8}`, role: "img", "aria-label": `${title}, ${unit}: now ${said}; scale to ${compact(top)}`, preserveAspectRatio: "none"},
      ...[0, 0.5, 1].map((part) => svg("path", {d: `M0 ${kHeight * part}H${kWidth}`, class: "rule"})),
      ...lines.map((line, index) => svg("path", {d: pathOf(line.values, top, kWidth, kHeight), class: `curve line-${index}`}))) : h("p.quiet.plot-none", {}, "No values yet."),
    h("div.plot-axis.num", {"aria-hidden": "true"}, h("span", {}, clock(first_ms).slice(0, 5)), h("span", {}, `to ${compact(top)}`), h("span", {}, clock(last_ms).slice(0, 5))));
}
