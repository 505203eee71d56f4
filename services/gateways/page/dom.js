// Elements from data. Text only ever becomes a text node: nothing that somebody typed is read as markup.

const kSvg = "http://www.w3.org/2000/svg";

/** h("button.button.primary", {on: {click}, "aria-label": "..."}, "text", child, null) */
export function h(what, props, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  add(element, children);
  return element;
}

function set(element, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name === "on") {
    for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  } else if (name === "class") {
    for (const word of String(value).split(/\s+/)) if (word) element.classList.add(word);
  } else if (name === "style") {
    for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
  } else if (name === "value" || name === "checked" || name === "disabled" || name === "selected") {
    element[name] = value;
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Puts children in place of what is there. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

const kIcons = {
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  cart: "M3 5h3l2.2 10h9.3l2-7H7M10 19.5h.01M17 19.5h.01",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4",
  info: "M12 8h.01M12 11v5M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  alert: "M12 9v4M12 16.5h.01M12 3.5L2.5 20h19L12 3.5z",
  clock: "M12 7v5l3.5 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  card: "M3 6.5h18v11H3zM3 10h18M6.5 14.5h4",
  phone: "M7 3h10v18H7zM11 18h2",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20c1-4 4-5.5 7.5-5.5s6.5 1.5 7.5 5.5",
  users: "M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 19.5c.8-3.6 3.3-5 6.5-5s5.700 1.400 6.500 5M16 4.800a3.400 3.400 0 0 1 0 6.400M18 14.800c2 .7 3.200 2.300 3.500 4.700",
  robot: "M6 9h12v9H6zM12 9V5M12 5h.01M9.500 13h.01M14.500 13h.01M3.500 12v3M20.500 12v3M9 18v2M15 18v2",
  store: "M4 10v10h16V10M3 10l2-6h14l2 6zM10 20v-5h4v5",
  map: "M9 4L3 6.500v14L9 18l6 2.500 6-2.500v-14L15 6.500zM9 4v14M15 6.500v14",
  list: "M9 6h11M9 12h11M9 18h11M4.500 6h.01M4.500 12h.01M4.500 18h.01",
  box: "M3.500 8L12 3.500 20.500 8v8L12 20.500 3.500 16zM3.500 8L12 12.500 20.500 8M12 12.500v8",
  pulse: "M3 12h4l3-7 4 14 3-7h4",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3",
  off: "M2 3l20 18M8.500 15.500a5 5 0 0 1 7 0M5.500 12a9 9 0 0 1 3.500-2.200M13.500 9.100A9 9 0 0 1 18.500 12M12 19h.01",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M4.500 12h-2M21.500 12h-2M5.500 5.500l1.400 1.400M17.100 17.100l1.400 1.400M18.500 5.500l-1.400 1.400M6.900 17.100l-1.400 1.400",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  door: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  undo: "M8 5L4 9l4 4M4 9h10a5.500 5.500 0 0 1 0 11h-3",
  trash: "M4.500 7h15M9 7V4.500h6V7M6.500 7l1 13h9l1-13",
  cash: "M3 7h18v10H3zM12 9.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5zM6 12h.01M18 12h.01",
  erase: "M9 6h11v12H9l-6-6zM12.500 9.500l5 5M17.500 9.500l-5 5",
};

export function icon(name) {
  const svg = document.createElementNS(kSvg, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(kSvg, "path");
  path.setAttribute("d", kIcons[name] ?? kIcons.info);
  for (const [key, value] of Object.entries({
    fill: "none", stroke: "currentColor", "stroke-width": "2", "stroke-linecap": "round", "stroke-linejoin": "round",
  })) path.setAttribute(key, value);
  svg.append(path);
  return svg;
}

/** An SVG element with attributes: for drawings. */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(kSvg, tag);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, String(value));
  add(element, children);
  return element;
}

/** A view without rows: why there are none, and what to do. kind: "", "warn", "bad". */
export function blank({kind = "", symbol = "info", title, text, action}) {
  return h("div.blank", {class: kind, role: kind === "bad" ? "alert" : "status"},
    h("div.badge", {}, icon(symbol)), h("h2", {}, title), text && h("p", {}, text), action);
}

export function skeletons(count, height) {
  return h("div", {"aria-busy": "true", class: "skeletons"}, h("span.sr", {role: "status"}, "Loading"),
    Array.from({length: count}, () => h("div.skeleton", {style: {height}})));
}

let toasts = null;
/** A sentence at the lower edge that goes by itself. */
export function toast(text, symbol = "info", for_ms = 6000) {
  if (!toasts?.isConnected) {
    toasts = h("div.toasts", {role: "status", "aria-live": "polite"});
    document.body.append(toasts);
  }
  const note = h("div.toast", {}, icon(symbol), h("p", {}, text));
  toasts.append(note);
  while (toasts.children.length > 3) toasts.firstChild.remove();
  setTimeout(() => note.remove(), for_ms);
}
