// Who collects it, and the card.

import {fill, h, icon} from "../../page/dom.js";
import {money} from "../../page/format.js";
import {newKey} from "../../page/http.js";
import {keypad} from "./keypad.js";
import {cardReader, stepsBar} from "./parts.js";

/** "+44 20 7946 0958" or "+44 020 ..." -> "+442079460958"; null: no number with a country's code. */
export function phoneOf(text) {
  const plain = text.replace(/[\s()./-]/g, "").replace(/^00/, "+").replace(/^\+440/, "+44");
  return /^\+[1-9]\d{6,14}$/.test(plain) ? plain : null;
}

function field({id, label, hint, input}) {
  const wrong = h("p.wrong", {id: `${id}-wrong`, role: "alert", hidden: true});
  const element = h("div.field", {}, h("label", {for: id}, label), input, h("p.hint", {id: `${id}-hint`}, hint), wrong);
  input.setAttribute("aria-describedby", `${id}-hint ${id}-wrong`);
  return {element, refuse: (text) => {
    wrong.textContent = text ?? "";
    wrong.hidden = !text;
    input.setAttribute("aria-invalid", String(Boolean(text)));
    if (text) input.focus();
  }};
}

export function youScreen({go, customer}, {confirmed_total}) {
  const phone = h("input.input.big-input.num", {id: "phone", type: "tel", inputmode: "none", autocomplete: "off", maxlength: 24, value: customer.phone || "+44 "});
  const name = h("input.input.big-input", {id: "name", type: "text", inputmode: "none", autocomplete: "off", maxlength: 80, value: customer.name});
  const phoneField = field({id: "phone", label: "Your phone number", hint: "We text you when everything is ready. With the country's code.", input: phone});
  const nameField = field({id: "name", label: "Your name", hint: "Asked for at the pickup desk.", input: name});
  const pads = h("div.pads", {});
  let on = phone;
  const show = (input) => {
    on = input;
    fill(pads, keypad(input === phone ? "phone" : "letters", () => on));
    phone.classList.toggle("on", input === phone);
    name.classList.toggle("on", input === name);
  };
  phone.addEventListener("focus", () => show(phone));
  name.addEventListener("focus", () => show(name));
  const next = (event) => {
    event.preventDefault();
    phoneField.refuse(null);
    nameField.refuse(null);
    const number = phoneOf(phone.value);
    if (!number) return phoneField.refuse("This is no whole phone number yet: +, country, number.");
    customer.phone = phone.value;
    if (!name.value.trim()) return on === phone ? name.focus() : nameField.refuse("Please say how we may call you.");
    customer.name = name.value.trim();
    go("card", {confirmed_total, phone: number, name: customer.name});
  };
  show(phone);
  return {
    element: h("main.sheet", {}, stepsBar(2),
      h("form.you", {novalidate: true, on: {submit: next}},
        h("div.you-fields", {}, h("h1", {tabindex: -1}, "Who collects it?"), phoneField.element, nameField.element,
          h("p.quiet.private", {}, icon("lock"), "Your number stays with the mall's customer desk. Stores and robots never see it."),
          h("div.sheet-buttons", {}, h("button.button.big", {type: "button", on: {click: () => go("review")}}, icon("back"), "Back"),
            h("button.button.primary.big", {type: "submit"}, "Continue", icon("next")))),
        pads)),
    focus: phone, refresh() {}, close() {},
  };
}

export function cardScreen({cart, go, placed, paying}, {confirmed_total, phone, name}) {
  const state = h("div.card-state", {role: "alert"});
  const reader = cardReader({read: (token) => pay(token), busy: () => isBusy});
  const back = h("button.button.big", {type: "button", on: {click: () => { if (!isBusy) go("you", {confirmed_total}); }}}, icon("back"), "Back");
  let isBusy = false;
  let isOpen = true;
  let last = {token: null, key: null};
  const say = (kind, symbol, title, text, action) =>
    fill(state, h("div.notice", {class: kind}, icon(symbol), h("div.stretch", {}, h("strong", {}, title), text), action));
  const working = (yes) => {
    isBusy = yes;
    paying(yes);
    back.disabled = yes;
    reader.classList.toggle("busy", yes);
    reader.toggleAttribute("inert", yes);
  };
  const pay = async (token) => {
    if (last.token !== token) last = {token, key: newKey()}; // the same card again: the same request again
    working(true);
    say("", "clock", "One moment", "Your card is being asked. Please do not take it away.");
    try {
      const order = await cart.submit({phone, name, card_token: token, confirmed_total}, last.key);
      paying(false);
      placed(order);
    } catch (problem) {
      working(false);
      if (isOpen) refused(problem, token);
    }
  };
  const refused = (problem, token) => {
    if (problem.type === "cart-changed" || problem.type === "stale-total") return go("review", {known: {changes: problem.body.changes ?? []}});
    if (!problem.isAway) last = {token: null, key: null};
    if (problem.type === "declined") return say("bad", "card", "The card was declined", "Nothing was charged. Please try another card.");
    if (problem.isAway) {
      return say("warn", "clock", "The mall is busy", "Your cart is kept, and you are not charged twice.",
        h("button.button", {type: "button", on: {click: () => pay(token)}}, "Try again"));
    }
    say("bad", "alert", problem.title || "That did not work", `${problem.detail} ${problem.remedy}`.trim());
  };
  return {
    element: h("main.sheet", {}, stepsBar(3),
      h("div.card-head", {}, h("h1", {tabindex: -1}, "Pay by card"), h("p.card-amount.num", {}, money(confirmed_total)),
        h("p.quiet", {}, "The amount is only held now. What the robot cannot find, you do not pay.")),
      state, reader, h("div.sheet-buttons", {}, back)),
    refresh() {}, close() { isOpen = false; },
  };
}
