// A table of any length, and the frame of views: loading, empty, refused, failed.

import {blank, fill, h, icon, skeletons} from "../../page/dom.js";
import {VirtualList} from "../../page/virtual_list.js";

const kAgeing_ms = 10_000;

/**
 * columns: [{title, size: "minmax(8em, 1fr)", class, text(row) or draw(row) -> node with mark(row): drawn anew when that differs,
 *   wide: left out while something is shown beside the list, ages: says how long ago, and is drawn anew as time goes by}]. open(row): a row leads somewhere.
 * empty: {symbol, title, text, action}. rowClass(row).
 */
export class Table {
  constructor({label, columns, key = (row) => row.id, open, empty, rowHeight = 44, rowClass = () => ""}) {
    Object.assign(this, {columns, empty, open});
    const template = (shown) => shown.map((column) => (column.size ?? "minmax(0, 1fr)").replace(/(\d)em/g, "$1rem")).join(" ");
    const style = {"--wide": template(columns), "--narrow": template(columns.filter((column) => !column.wide))};
    const shape = (column, more) => [more, column.wide ? "only-wide" : ""].join(" ");
    this.body = h("div.rows", {role: "rowgroup", tabindex: open ? null : 0, "aria-label": open ? null : `${label}, rows`});
    this.grid = h("div.table", {role: open ? "grid" : "table", "aria-label": label}, h("div", {role: "rowgroup"},
      h("div.table-head", {role: "row", style},
        columns.map((column) => h("div", {role: "columnheader", class: shape(column, (column.class ?? "").split(" ").filter((word) => ["end", "center"].includes(word)).join(" "))}, column.title || h("span.sr", {}, "Actions"))))), this.body);
    this.frame = h("div.table-frame");
    this.list = new VirtualList(this.body, {rowHeight, key, open, rowRole: true, sizerRole: "presentation",
      make: () => h("div.table-row", {role: "row", style, class: open ? "can-open" : ""},
        columns.map((column) => h("div.cell", {role: open ? "gridcell" : "cell", class: shape(column, column.class ?? "")}))),
      update: (element, row) => {
        element.classList.toggle("chosen", this.chosen !== undefined && key(row) === this.chosen);
        if (open) element.setAttribute("aria-selected", String(key(row) === this.chosen));
        const extra = rowClass(row);
        if (element.extra !== extra) { if (element.extra) element.classList.remove(element.extra); if (extra) element.classList.add(extra); element.extra = extra; }
        columns.forEach((column, index) => this.cell(element.children[index], column, row));
      }});
    if (columns.some((column) => column.ages)) this.ageing = setInterval(() => { if (this.grid.isConnected) this.list.draw(true); }, kAgeing_ms);
    this.loading();
  }

  cell(element, column, row) {
    if (column.text) {
      const text = String(column.text(row) ?? "");
      if (element.textContent !== text) { element.textContent = text; element.title = text.length > 24 ? text : ""; }
    } else {
      const drawn = column.mark ? String(column.mark(row)) : null;
      if (drawn !== null && element.drawn === drawn) return;
      element.drawn = drawn;
      fill(element, column.draw(row));
    }
  }

  get element() { return this.frame; }
  close() {
    clearInterval(this.ageing);
    this.list.close();
  }

  loading() { fill(this.frame, skeletons(8, "2.4em")); }

  set(rows) {
    if (!rows.length) return void fill(this.frame, blank(this.empty));
    if (this.grid.parentNode !== this.frame) fill(this.frame, this.grid);
    this.grid.setAttribute("aria-rowcount", String(rows.length + 1));
    this.list.set(rows);
  }

  choose(id) {
    this.chosen = id;
    this.list.draw(true);
  }

  fail(problem, again) { fill(this.frame, failure(problem, again)); }
}

/** Why a view shows nothing. */
export function failure(problem, again) {
  if (problem.status === 403) return forbidden(problem.detail);
  if (problem.status === 404) return blank({kind: "warn", symbol: "search", title: "Not found", text: problem.detail});
  return blank({kind: "bad", symbol: "off", title: problem.isAway ? "No answer" : "That did not work", text: [problem.detail, problem.remedy].filter(Boolean).join(" "),
    action: again && h("button.button", {type: "button", on: {click: again}}, "Try again")});
}

export function forbidden(detail) {
  return blank({kind: "warn", symbol: "lock", title: "Not for your role", text: detail || "Your role may not see this. Ask a depot admin if you need it."});
}

/** A list at the left and, beside it, what was chosen. Narrow: what was chosen lies over the list. */
export function split(list) {
  const detail = h("section.detail", {"aria-label": "Details", tabindex: -1});
  const element = h("div.split", {}, h("section.master", {}, list), detail);
  const view = {element, detail, back: null,
    show(content) {
      element.classList.add("has-detail");
      fill(detail, h("button.button.plain.detail-back", {type: "button", on: {click: () => view.back?.()}}, icon("back"), "Back"), content);
    },
    clear() {
      element.classList.remove("has-detail");
      fill(detail);
    },
  };
  detail.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.target.closest("dialog")) view.back?.(); });
  view.clear();
  return view;
}

/** Runs a command: the button rests while it is on its way, a refusal is said beside it. */
export function commander(say) {
  return async (button, act) => {
    if (button.getAttribute("aria-busy") === "true") return undefined;
    button.setAttribute("aria-busy", "true");
    button.setAttribute("aria-disabled", "true");
    fill(say);
    try {
      return await act();
    } catch (problem) {
      const isOthers = problem.type === "done-already";
      fill(say, h("div.notice", {class: isOthers ? "warn" : "bad"}, icon(isOthers ? "users" : "alert"),
        h("p", {}, h("strong", {}, isOthers ? "Somebody else was first" : problem.isAway ? "No answer: nothing is lost" : "That was refused"), [problem.detail, problem.remedy].filter(Boolean).join(" "))));
      return problem;
    } finally {
      button.removeAttribute("aria-busy");
      button.removeAttribute("aria-disabled");
    }
  };
}

/** A question in a dialog: fields -> values, or null. fields: [{name, label, value, hint, kind}] */
export function ask({title, text, fields = [], yes, danger = false, check = () => null}) {
  return new Promise((resolve) => {
    const inputs = new Map();
    const wrong = h("p.wrong", {id: "ask-wrong", role: "alert", hidden: true});
    const done = (value) => { dialog.close(); dialog.remove(); resolve(value); };
    const dialog = h("dialog.ask", {"aria-labelledby": "ask-title", on: {cancel: (event) => { event.preventDefault(); done(null); }}},
      h("form", {novalidate: true, on: {submit: (event) => {
        event.preventDefault();
        const values = Object.fromEntries([...inputs].map(([name, input]) => [name, input.value.trim()]));
        const refused = check(values);
        wrong.hidden = !refused;
        wrong.textContent = refused ?? "";
        if (!refused) done(values);
      }}},
        h("h2", {id: "ask-title"}, title), text && h("p.quiet", {}, text),
        fields.map((field) => {
          const input = h(field.kind === "long" ? "textarea.input" : "input.input", {id: `ask-${field.name}`, value: field.value ?? "", maxlength: field.most ?? 200, autocomplete: "off",
            inputmode: field.inputmode, "aria-describedby": "ask-wrong", rows: field.kind === "long" ? 3 : null});
          inputs.set(field.name, input);
          return h("div.field", {}, h("label", {for: `ask-${field.name}`}, field.label), input, field.hint && h("p.hint", {}, field.hint));
        }), wrong,
        h("div.ask-buttons", {}, h("button.button", {type: "button", on: {click: () => done(null)}}, "Back"),
          h("button.button", {type: "submit", class: danger ? "danger" : "strong"}, yes))));
    document.body.append(dialog);
    dialog.showModal();
    (inputs.values().next().value ?? dialog.querySelector("button"))?.focus();
  });
}
