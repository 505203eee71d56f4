// Keys on the screen for kiosks without a keyboard. They write into the input they are given, as if typed.

import {h, icon} from "../../page/dom.js";

const kPhone = ["123", "456", "789", "+0<"];
const kLetters = ["1234567890", "qwertyuiop", "asdfghjkl'", "zxcvbnm-.<", "^ _"];

function press(input, key) {
  const start = input.selectionStart ?? input.value.length;
  const end = input.selectionEnd ?? input.value.length;
  if (key === "<") {
    const from = start === end ? Math.max(0, start - 1) : start;
    input.setRangeText("", from, end, "end");
  } else if (input.maxLength < 0 || input.value.length < input.maxLength) {
    input.setRangeText(key, start, end, "end");
  }
  input.dispatchEvent(new Event("input", {bubbles: true}));
}

/** kind: "phone" or "letters". target(): the input that is written to now. */
export function keypad(kind, target) {
  const rows = {phone: kPhone, letters: kLetters}[kind];
  let upper = kind === "letters";
  const caps = [];
  let capitals = null;
  const show = () => {
    caps.forEach(([button, key]) => { button.textContent = upper ? key.toUpperCase() : key; });
    capitals?.setAttribute("aria-pressed", String(upper));
  };
  const button = (key) => {
    const label = {"<": "Delete", "_": "Space", "^": "Capitals"}[key];
    const element = h("button.key", {type: "button", "aria-label": label, class: {"_": "wide", "^": "mid"}[key] ?? "",
      on: {
        mousedown: (event) => event.preventDefault(), // the focus stays in the field
        click: () => {
          const input = target();
          if (!input) return;
          if (key === "^") upper = !upper;
          else press(input, key === "_" ? " " : upper ? key.toUpperCase() : key);
          if (key !== "^" && kind === "letters") upper = key === "_";
          show();
        },
      }}, key === "<" ? icon("erase") : label ?? key);
    if (key === "^") capitals = element;
    if (/^[a-z]$/.test(key)) caps.push([element, key]);
    return element;
  };
  const pad = h("div.keypad", {class: kind, role: "group", "aria-label": "Keys on the screen"},
    rows.map((row) => h("div.keys", {}, [...row].filter((key) => key !== " ").map(button))));
  show();
  return pad;
}
