// Ten thousand rows, of which only those in sight are in the document. The arithmetic is pure; VirtualList puts it on an element.

import {h} from "./dom.js";

/** Rows [first, last) that are to be drawn, with `overscan` more on each side. */
export function windowOf({scrollTop, height, rowHeight, count, overscan = 6}) {
  if (count <= 0 || rowHeight <= 0) return {first: 0, last: 0};
  const first = Math.floor(Math.max(0, scrollTop) / rowHeight) - overscan;
  const last = Math.ceil((Math.max(0, scrollTop) + Math.max(0, height)) / rowHeight) + overscan;
  return {first: Math.min(count, Math.max(0, first)), last: Math.max(0, Math.min(count, last))};
}

/** How many columns of at least `least` fit, and how wide each is then. */
export function columnsOf({width, least, gap}) {
  const columns = Math.max(1, Math.floor((width + gap) / (least + gap)));
  return {columns, columnWidth: (width - gap * (columns - 1)) / columns};
}

/** The scroll position that brings row `index` into sight; the present one if it is. */
export function scrollTo({index, scrollTop, height, rowHeight}) {
  const top = index * rowHeight;
  if (top < scrollTop) return top;
  if (top + rowHeight > scrollTop + height) return top + rowHeight - height;
  return scrollTop;
}

/** Where a key leads from row `index` of `count`; null: not one of these keys. */
export function moved(key, index, count, page, columns = 1) {
  const to = {
    ArrowDown: index + columns, ArrowUp: index - columns,
    ArrowRight: columns > 1 ? index + 1 : undefined, ArrowLeft: columns > 1 ? index - 1 : undefined,
    PageDown: index + page, PageUp: index - page, Home: 0, End: count - 1,
  }[key];
  if (to === undefined || count === 0) return null;
  return Math.max(0, Math.min(count - 1, to));
}

/**
 * options: rowHeight; key(row); make(row, index) -> element; update(element, row, index); least and gap for several columns;
 * open(row, index) on Enter, space or click (makes rows focusable). Elements are kept by key: focus survives updates.
 */
export class VirtualList {
  constructor(element, options) {
    this.element = element;
    this.options = {gap: 0, overscan: 6, ...options};
    this.rows = [];
    this.drawn = new Map();
    this.current = 0;
    element.classList.add("virtual");
    this.sizer = h("div.sizer", {role: options.sizerRole ?? "presentation"});
    element.append(this.sizer);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(element);
    element.addEventListener("scroll", () => this.schedule(), {passive: true});
    if (options.open) element.addEventListener("keydown", (event) => this.onKey(event));
  }

  close() { this.observer.disconnect(); }

  set(rows) {
    this.rows = rows;
    this.current = Math.min(this.current, Math.max(0, rows.length - 1));
    this.draw(true);
  }

  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => { this.scheduled = false; this.draw(); });
  }

  shape() {
    const {least, gap} = this.options;
    const rowHeight = typeof this.options.rowHeight === "function" ? this.options.rowHeight() : this.options.rowHeight;
    const width = this.sizer.clientWidth;
    const {columns, columnWidth} = least ? columnsOf({width, least: typeof least === "function" ? least() : least, gap}) : {columns: 1, columnWidth: width};
    return {columns, columnWidth, pitch: rowHeight + gap, rowHeight, lines: Math.ceil(this.rows.length / columns)};
  }

  draw(changed = false) {
    const {columns, columnWidth, pitch, rowHeight, lines} = this.shape();
    this.sizer.style.height = `${Math.max(0, lines * pitch - this.options.gap)}px`;
    const {first, last} = windowOf({scrollTop: this.element.scrollTop, height: this.element.clientHeight, rowHeight: pitch, count: lines, overscan: this.options.overscan});
    const from = first * columns;
    const to = Math.min(this.rows.length, last * columns);
    const wanted = new Set();
    for (let index = from; index < to; ++index) {
      const row = this.rows[index];
      const key = this.options.key(row);
      wanted.add(key);
      let kept = this.drawn.get(key);
      if (!kept) {
        const element = this.options.make(row, index);
        element.classList.add("item");
        kept = {element, index: -1, row: null};
        if (this.options.open) {
          element.addEventListener("click", () => { this.current = kept.index; this.options.open(kept.row, kept.index); });
        }
        this.drawn.set(key, kept);
      }
      if (kept.row !== row || changed) this.options.update(kept.element, row, index);
      if (this.options.open) kept.element.tabIndex = index === this.current ? 0 : -1;
      if (this.options.rowRole) kept.element.setAttribute("aria-rowindex", String(index + 2));
      kept.index = index;
      kept.row = row;
      const x = (index % columns) * (columnWidth + this.options.gap);
      const place = `translate(${x}px, ${Math.floor(index / columns) * pitch}px)`;
      if (kept.element.style.transform !== place) kept.element.style.transform = place;
      kept.element.style.width = `${columnWidth}px`;
      kept.element.style.height = `${rowHeight}px`;
      if (!kept.element.isConnected) this.sizer.append(kept.element);
    }
    let lost = false;
    for (const [key, kept] of this.drawn) {
      if (wanted.has(key)) continue;
      if (kept.element.contains(document.activeElement)) {
        // Scrolled out of sight, the row keeps the focus; gone, it hands it on.
        if (this.rows[kept.index] && this.options.key(this.rows[kept.index]) === key) continue;
        lost = true;
      }
      kept.element.remove();
      this.drawn.delete(key);
    }
    if (lost && this.rows.length) this.focus(this.current);
    this.keepOrder();
    if (this.options.open && this.rows.length && ![...this.drawn.values()].some((kept) => kept.element.tabIndex === 0)) {
      const kept = [...this.drawn.values()].sort((a, b) => a.index - b.index)[0];
      if (kept) kept.element.tabIndex = 0;
    }
  }

  /** Who reads or tabs through the page meets rows in their order. What has the focus stays where it is: moved, it would lose it. */
  keepOrder() {
    const order = [...this.drawn.values()].sort((a, b) => a.index - b.index).map((kept) => kept.element);
    if (order.every((element, index) => this.sizer.children[index] === element)) return;
    const focused = order.findIndex((element) => element.contains(document.activeElement));
    if (focused < 0) return void this.sizer.append(...order);
    for (const element of order.slice(0, focused)) this.sizer.insertBefore(element, order[focused]);
    this.sizer.append(...order.slice(focused + 1));
  }

  /** Brings a row into sight and focuses it. */
  focus(index) {
    const {pitch, columns} = this.shape();
    this.current = index;
    this.element.scrollTop = scrollTo({index: Math.floor(index / columns), scrollTop: this.element.scrollTop, height: this.element.clientHeight, rowHeight: pitch});
    this.draw();
    const kept = this.rows[index] && this.drawn.get(this.options.key(this.rows[index]));
    kept?.element.focus({preventScroll: true});
  }

  onKey(event) {
    const on = [...this.drawn.values()].find((kept) => kept.element === event.target);
    if (!on) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.current = on.index;
      this.options.open(on.row, on.index);
      return;
    }
    const {pitch, columns} = this.shape();
    const page = Math.max(1, Math.floor(this.element.clientHeight / pitch) - 1) * columns;
    const to = moved(event.key, on.index, this.rows.length, page, columns);
    if (to === null) return;
    event.preventDefault();
    this.focus(to);
  }
}
