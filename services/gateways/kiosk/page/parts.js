// Pieces that several screens of the kiosk are made of.

import {h, icon, svg} from "../../page/dom.js";
import {kMostOfOne} from "./cart.js";

/** The root's font size in pixels: rows of lists are as high as their text. */
export const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

/** A hue that belongs to an id: stores keep their colour. */
export function hueOf(id) {
  let hash = 2166136261;
  for (const char of String(id)) hash = Math.imul(hash ^ char.codePointAt(0), 16777619) >>> 0;
  return [205, 28, 152, 268, 345, 182, 48, 225, 12, 120][hash % 10];
}

export function initials(name) {
  const all = String(name).trim().split(/\s+/).filter(Boolean);
  const words = all.filter((word) => /^[\p{L}\p{N}]/u.test(word)).concat(all).slice(0, Math.min(2, all.length));
  return (words.length > 1 ? [...words[0]][0] + [...words[1]][0] : [...(words[0] ?? "?")].slice(0, 2).join("")).toUpperCase();
}

/** Less, how many, more. get() and set(quantity); shows "Add" at none. */
export function stepper({name, get, set, withAdd = true}) {
  const count = h("output.count.num", {"aria-live": "off"});
  const less = h("button.step", {type: "button", on: {click: (event) => { event.stopPropagation(); set(get() - 1); }}}, icon("minus"));
  const more = h("button.step", {type: "button", on: {click: (event) => { event.stopPropagation(); set(get() + 1); }}}, icon("plus"));
  const add = h("button.button.primary.add", {type: "button", on: {click: (event) => {
    event.stopPropagation();
    set(1);
    more.focus({preventScroll: true});
  }}}, icon("plus"), "Add");
  const element = h("div.stepper", {role: "group"}, withAdd && add, less, count, more);
  element.refresh = (what = name) => {
    const quantity = get();
    const had = document.activeElement;
    element.setAttribute("aria-label", `Quantity of ${what}`);
    less.setAttribute("aria-label", quantity === 1 ? `Take ${what} out` : `One ${what} less`);
    more.setAttribute("aria-label", `One ${what} more`);
    add.setAttribute("aria-label", `Add ${what}`);
    if (withAdd) add.hidden = quantity > 0;
    less.hidden = count.hidden = more.hidden = withAdd && quantity === 0;
    less.replaceChildren(icon(quantity === 1 ? "trash" : "minus"));
    more.disabled = quantity >= kMostOfOne;
    count.textContent = String(quantity);
    if (had === less && less.hidden) add.focus({preventScroll: true});
  };
  element.refresh();
  return element;
}

const kSteps = ["Choose", "Review", "You", "Card"];
export function stepsBar(current) {
  return h("ol.steps", {"aria-label": "Steps of your order"}, kSteps.map((name, index) =>
    h("li", {class: index < current ? "done" : index === current ? "now" : "", "aria-current": index === current ? "step" : null},
      h("span.dot", {}, index < current ? icon("check") : String(index + 1)), name)));
}

/** The simulated reader: a card is a token. read(token) is called when one is held to it. */
export function cardReader({read, busy = () => false}) {
  const token = h("input.input", {id: "card-token", autocomplete: "off", spellcheck: "false", maxlength: 200,
    placeholder: "tok_visa_4242"});
  const wrong = h("p.wrong", {id: "card-wrong", role: "alert", hidden: true});
  const hold = (value) => {
    if (busy()) return;
    wrong.hidden = Boolean(value);
    wrong.textContent = value ? "" : "Enter the card's token first.";
    token.setAttribute("aria-invalid", String(!value));
    if (value) read(value);
  };
  const sample = (label, value, tone) => h("button.demo-card", {type: "button", class: tone, on: {click: () => hold(value)}},
    h("span.chipset", {}), h("strong", {}, label), h("span.mono", {}, value));
  return h("div.reader", {},
    h("div.slot", {}, drawing(), h("p", {}, "Hold your card to the reader")),
    h("div.demo", {},
      h("p.quiet", {}, "This reader is simulated. Pick a card:"),
      h("div.demo-cards", {}, sample("Card that pays", "tok_visa_4242", "blue"), sample("Another card", "tok_master_5100", "violet"),
        sample("Declined card", "tok_declined_0002", "rust")),
      h("form.demo-own", {on: {submit: (event) => { event.preventDefault(); hold(token.value.trim()); }}},
        h("div.field.stretch", {}, h("label", {for: "card-token"}, "Or a card's token"), token, wrong),
        h("button.button", {type: "submit"}, "Hold to reader"))));
}

function drawing() {
  return svg("svg", {viewBox: "0 0 200 150", class: "reader-drawing", "aria-hidden": "true"},
    svg("rect", {x: 42, y: 54, width: 116, height: 90, rx: 14, class: "r-body"}),
    svg("rect", {x: 58, y: 70, width: 84, height: 30, rx: 5, class: "r-screen"}),
    svg("path", {d: "M86 85h28", class: "r-mark"}),
    ...[0, 1, 2, 3, 4, 5].map((n) => svg("circle", {cx: 76 + (n % 3) * 24, cy: 114 + Math.floor(n / 3) * 15, r: 4.5, class: "r-key"})),
    svg("g", {class: "r-card"},
      svg("rect", {x: 62, y: 8, width: 88, height: 54, rx: 7, class: "r-plastic"}),
      svg("rect", {x: 72, y: 24, width: 16, height: 12, rx: 2.5, class: "r-chip"}),
      svg("path", {d: "M72 49h34", class: "r-line"})),
    svg("path", {d: "M163 30c7 7 7 19 0 26M171 22c11 11 11 31 0 42", class: "r-wave"}));
}
