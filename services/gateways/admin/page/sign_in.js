// Who are you? By name and password, or by a one-time link.

import {fill, h, icon} from "../../page/dom.js";

/** The token of "#link=TOKEN"; null: none. Taken out of the address at once, so that it is in no history. */
export function takeLink(place = location, past = history) {
  const match = /^#link=([\w.~+/=-]{1,300})$/.exec(place.hash);
  if (!match) return null;
  past.replaceState(null, "", place.pathname + place.search);
  return match[1];
}

export function signInView({api, welcome, link, why}) {
  const say = h("div", {role: "alert"});
  const name = h("input.input", {id: "name", autocomplete: "username", maxlength: 100, required: true});
  const password = h("input.input", {id: "password", type: "password", autocomplete: "current-password", maxlength: 200, required: true});
  const button = h("button.button.primary", {type: "submit"}, "Sign in");
  const enter = async (body) => {
    button.disabled = true;
    fill(say, h("div.notice", {}, icon("clock"), h("p", {}, body.link ? "Signing you in by your link." : "One moment.")));
    try {
      welcome(await api.ask("POST", "/admin/v1/session", body));
    } catch (problem) {
      button.disabled = false;
      const isLink = Boolean(body.link);
      fill(say, h("div.notice.bad", {}, icon("alert"), h("p", {}, h("strong", {}, problem.status === 429 ? "Too many tries" : problem.isAway ? "No answer" : isLink ? "This link does not work any more" : "That is not right"),
        problem.status === 429 ? `Wait ${problem.retry_after_s || 60} s, then try again.` : isLink ? "It was used, or is too old. Sign in with your name, or ask for a new link." : problem.detail)));
      if (!isLink) password.select();
      name.value ? password.focus() : name.focus();
    }
  };
  if (why) fill(say, h("div.notice", {}, icon("info"), h("p", {}, why)));
  if (link) enter({link});
  return {
    element: h("main.sign-in", {}, h("form", {novalidate: true, on: {submit: (event) => {
      event.preventDefault();
      if (!name.value.trim() || !password.value) return (name.value.trim() ? password : name).focus();
      enter({name: name.value.trim(), password: password.value});
    }}},
      h("img", {src: "/page/robot.svg", alt: "", width: 56, height: 56}), h("h1", {}, "MallBots staff"), say,
      h("div.field", {}, h("label", {for: "name"}, "Name"), name), h("div.field", {}, h("label", {for: "password"}, "Password"), password), button)),
    focus: name, close() {},
  };
}
