// The floor plan with its robots on a canvas. Walls, stores and what a robot looks like are drawn once, robots put in place each frame; between two positions a robot
// glides. Nothing is drawn while nothing moves. Who wants less motion sees robots step.

const kGlide_ms = 400;
const kColours = {
  light: {floor: "#fbfbf8", wall: "#c9d2d9", wallEdge: "#9aa8b3", text: "#14222f", active: "#0b5fae", idle: "#1a6b3c", offline: "#a62430", ring: "#c77700", bay: "#ffe6b3", bayEdge: "#7d4e00", store: "#dfe9f5", storeEdge: "#0b5fae"},
  dark: {floor: "#101a23", wall: "#2d3c49", wallEdge: "#475a69", text: "#e3eaf0", active: "#7cbcff", idle: "#7fd79c", offline: "#ff9c9c", ring: "#ffbf4a", bay: "#4a3a14", bayEdge: "#ffca6b", store: "#1c3247", storeEdge: "#7cbcff"},
};

/** "12,4" -> {x: 12, y: 4}; null: no place. */
export function placeOf(text) {
  const match = /^\s*(\d{1,5})\s*,\s*(\d{1,5})\s*$/.exec(text ?? "");
  return match ? {x: Number(match[1]), y: Number(match[2])} : null;
}

const kDrawn = ["offline", "idle", "active"]; // the last lies on top
const kNamedOnFloor = 60; // stores; with more of them the names of those on open floor would cover each other
const kBaySteps = 6; // who is so near to the depot is there (services/simulators/bots)

/** The depot, which is the free cell nearest to the upper left corner, and its receiving bay: the cells from which it is near. null: a plan of walls. */
export function depotOf(rows) {
  const free = rows.flatMap((row, y) => [...row].flatMap((cell, x) => (cell === "." ? [{x, y}] : [])));
  if (!free.length) return null;
  const depot = free.reduce((best, cell) => (cell.x ** 2 + cell.y ** 2 < best.x ** 2 + best.y ** 2 ? cell : best));
  const bay = [depot];
  const known = new Set([`${depot.x},${depot.y}`]);
  for (const cell of bay) { // in the order of their steps from the depot; it grows while we go
    const steps = cell.steps ?? 0;
    if (steps === kBaySteps) continue;
    for (const [x, y] of [[cell.x + 1, cell.y], [cell.x - 1, cell.y], [cell.x, cell.y + 1], [cell.x, cell.y - 1]]) {
      if (rows[y]?.[x] !== "." || known.has(`${x},${y}`)) continue;
      known.add(`${x},${y}`);
      bay.push({x, y, steps: steps + 1});
    }
  }
  return {...depot, bay};
}

/** Where a robot is drawn at `now`: from where it was drawn when its new position came, straight on. */
export function glide(robot, now_ms, isStill) {
  if (isStill || robot.since_ms === undefined) return {x: robot.x, y: robot.y, isMoving: false};
  const part = Math.min(1, Math.max(0, (now_ms - robot.since_ms) / kGlide_ms));
  return {x: robot.from_x + (robot.x - robot.from_x) * part, y: robot.from_y + (robot.y - robot.from_y) * part, isMoving: part < 1};
}

/** New rows into robots: known ones glide on from where they are drawn now. Far ones jump: they were not watched. */
export function merged(robots, rows, now_ms, isStill) {
  const next = new Map();
  for (const row of rows) {
    if (!Number.isFinite(row.x) || !Number.isFinite(row.y)) continue;
    const old = robots.get(row.id);
    if (!old) { next.set(row.id, {id: row.id, status: row.status, x: row.x, y: row.y}); continue; }
    if (old.x !== row.x || old.y !== row.y) {
      const at = glide(old, now_ms, isStill);
      const isFar = Math.abs(at.x - row.x) + Math.abs(at.y - row.y) > 12;
      Object.assign(old, {from_x: isFar ? row.x : at.x, from_y: isFar ? row.y : at.y, since_ms: now_ms, x: row.x, y: row.y});
    }
    old.status = row.status;
    next.set(row.id, old);
  }
  return next;
}

export class FloorPlan {
  constructor(canvas, {plan, onPick = () => {}}) {
    Object.assign(this, {canvas, plan, onPick, robots: new Map(), stores: [], chosen: null, frames: 0, second_ms: 0});
    this.pen = canvas.getContext("2d", {alpha: false});
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.fit();
    this.observer = new ResizeObserver(this.redraw);
    this.observer.observe(canvas.parentElement);
    this.scheme.addEventListener("change", this.redraw);
    this.themed = new MutationObserver(this.redraw);
    this.themed.observe(document.documentElement, {attributeFilter: ["data-theme"]});
    canvas.addEventListener("click", (event) => this.pick(event));
    this.fit();
  }

  close() {
    this.observer.disconnect();
    this.themed.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
    cancelAnimationFrame(this.frame);
    this.isClosed = true;
  }

  setRobots(rows) {
    this.robots = merged(this.robots, rows, performance.now(), this.still.matches);
    this.schedule();
  }

  setStores(stores) {
    this.stores = stores;
    this.fit();
  }

  choose(id) {
    this.chosen = id;
    this.schedule();
  }

  schedule() {
    if (this.frame || this.isClosed) return;
    this.frame = requestAnimationFrame((now) => { this.frame = 0; this.draw(now); });
  }

  get colours() {
    const theme = document.documentElement.dataset.theme;
    return kColours[theme ?? (this.scheme.matches ? "dark" : "light")] ?? kColours.light;
  }

  fit() {
    const box = this.canvas.parentElement;
    const {width, height} = this.plan;
    this.cell = Math.max(2, Math.min(box.clientWidth / width, box.clientHeight / height));
    const ratio = Math.min(2, devicePixelRatio || 1);
    this.canvas.width = Math.round(this.cell * width * ratio);
    this.canvas.height = Math.round(this.cell * height * ratio);
    this.canvas.style.width = `${this.cell * width}px`;
    this.canvas.style.height = `${this.cell * height}px`;
    this.ratio = ratio;
    this.radius = Math.max(2, Math.min(9, this.cell * 0.34));
    this.discs = kDrawn.map((status) => [status, this.drawDisc(this.colours[status])]);
    this.ground = this.drawGround();
    this.schedule();
  }

  /** What a robot looks like. To copy it a thousand times a frame costs a fraction of a path of a thousand arcs. */
  drawDisc(colour) {
    const disc = document.createElement("canvas");
    disc.width = disc.height = Math.ceil((this.radius + 1) * 2 * this.ratio);
    const pen = disc.getContext("2d");
    pen.arc(disc.width / 2, disc.height / 2, this.radius * this.ratio, 0, 2 * Math.PI);
    pen.fillStyle = colour;
    pen.fill();
    pen.lineWidth = this.ratio;
    pen.strokeStyle = this.colours.floor;
    pen.stroke();
    return disc;
  }

  drawGround() {
    const ground = document.createElement("canvas");
    ground.width = this.canvas.width;
    ground.height = this.canvas.height;
    const pen = ground.getContext("2d");
    const {cell, colours} = this;
    pen.scale(this.ratio, this.ratio);
    pen.fillStyle = colours.floor;
    pen.fillRect(0, 0, cell * this.plan.width, cell * this.plan.height);
    pen.fillStyle = colours.wall;
    this.plan.rows.forEach((row, y) => {
      for (let x = 0; x < row.length; ++x) if (row[x] !== ".") pen.fillRect(x * cell, y * cell, cell + 0.5, cell + 0.5);
    });
    this.drawDepot(pen);
    const size = Math.max(9, Math.min(14, cell * 0.52));
    pen.font = `600 ${size}px ${getComputedStyle(document.body).fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const named = new Set(); // one name a place: thousands of stores have no room for more
    for (const store of this.stores) {
      const at = placeOf(store.location);
      if (!at || named.has(`${at.x},${at.y}`)) continue;
      named.add(`${at.x},${at.y}`);
      const block = blockAround(this.plan.rows, at);
      if (block && named.has(block.left * 1e6 + block.top)) continue;
      if (block) named.add(block.left * 1e6 + block.top);
      if (block) this.block(pen, block);
      else this.tile(pen, at, colours.store, colours.storeEdge);
      if (!block && this.stores.length > kNamedOnFloor) continue;
      pen.fillStyle = colours.text;
      const [left, right] = wallAround(this.plan.rows[at.y] ?? "", at.x);
      const lines = inTwo(store.name, (text) => pen.measureText(text).width <= (right - left) * cell - 4);
      lines.forEach((line, index) => pen.fillText(clipped(pen, line, (right - left) * cell - 4), (left + right) / 2 * cell, (block ? block.top + block.height / 2 : at.y + 1.6) * cell + (index - (lines.length - 1) / 2) * size * 1.15));
    }
    return ground;
  }

  drawDepot(pen) {
    const {cell, colours} = this;
    const depot = depotOf(this.plan.rows);
    if (!depot) return;
    pen.fillStyle = colours.bay;
    for (const {x, y} of depot.bay) pen.fillRect(x * cell, y * cell, cell + 0.5, cell + 0.5);
    this.tile(pen, depot, colours.bayEdge, colours.bayEdge);
  }

  block(pen, {left, top, width, height}) {
    const {cell, colours} = this;
    pen.fillStyle = colours.store;
    pen.fillRect(left * cell, top * cell, width * cell, height * cell);
    pen.lineWidth = 1.5;
    pen.strokeStyle = colours.storeEdge;
    pen.strokeRect(left * cell + 0.75, top * cell + 0.75, width * cell - 1.5, height * cell - 1.5);
  }

  /** A cell that is a place: the depot, or a store that stands on open floor. */
  tile(pen, {x, y}, fill, edge) {
    const {cell} = this;
    pen.beginPath();
    pen.roundRect(x * cell + 1, y * cell + 1, Math.max(2, cell - 2), Math.max(2, cell - 2), cell * 0.2);
    pen.fillStyle = fill;
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = edge;
    pen.stroke();
  }

  draw(now) {
    const {pen, ratio, cell, colours, radius} = this;
    const isStill = this.still.matches;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.drawImage(this.ground, 0, 0);
    let isMoving = false;
    for (const [status, disc] of this.discs) {
      for (const robot of this.robots.values()) {
        if (robot.status !== status) continue;
        const at = glide(robot, now, isStill);
        isMoving ||= at.isMoving;
        pen.drawImage(disc, (at.x + 0.5) * cell * ratio - disc.width / 2, (at.y + 0.5) * cell * ratio - disc.height / 2);
      }
    }
    pen.scale(ratio, ratio);
    const chosen = this.robots.get(this.chosen);
    if (chosen) {
      const at = glide(chosen, now, isStill);
      pen.beginPath();
      pen.arc((at.x + 0.5) * cell, (at.y + 0.5) * cell, radius + 5, 0, 2 * Math.PI);
      pen.lineWidth = 3;
      pen.strokeStyle = colours.ring;
      pen.stroke();
    }
    this.meter(now);
    if (isMoving) this.schedule();
  }

  /** Frames of the last whole second, for tests and the curious: data-frames on the canvas. */
  meter(now) {
    ++this.frames;
    if (now - this.second_ms < 1000) return;
    this.canvas.dataset.frames = String(this.second_ms ? Math.round(this.frames * 1000 / (now - this.second_ms)) : 0);
    this.frames = 0;
    this.second_ms = now;
  }

  pick(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) / this.cell - 0.5;
    const y = (event.clientY - box.top) / this.cell - 0.5;
    let best = null;
    let nearest = 2.2;
    for (const robot of this.robots.values()) {
      const at = glide(robot, performance.now(), this.still.matches);
      const far = Math.hypot(at.x - x, at.y - y);
      if (far < nearest) { nearest = far; best = robot.id; }
    }
    if (best) this.onPick(best);
  }
}

/** The wall that holds cell x of a row, as [first, end): a store's name is written across it. Open floor: a few cells around x. */
export function wallAround(row, x) {
  if (!row[x] || row[x] === ".") return [Math.max(0, x - 2), x + 3];
  let left = x;
  let right = x + 1;
  while (left > 0 && row[left - 1] !== ".") --left;
  while (right < row.length && row[right] !== ".") ++right;
  return [left, right];
}

/** The rectangle of walls that cell `at` is in: a store's shelves. null: open floor, or no such rectangle. */
export function blockAround(rows, {x, y}) {
  const isWall = (at_x, at_y) => rows[at_y]?.[at_x] !== undefined && rows[at_y][at_x] !== ".";
  if (!isWall(x, y)) return null;
  const [left, right] = wallAround(rows[y], x);
  let top = y;
  let bottom = y + 1;
  while (isWall(x, top - 1)) --top;
  while (isWall(x, bottom)) ++bottom;
  for (let row = top; row < bottom; ++row) {
    const [from, to] = wallAround(rows[row], x);
    if (from !== left || to !== right) return null;
  }
  return {left, top, width: right - left, height: bottom - top};
}

/** A name in one line if it fits, else in two, broken where words meet. */
export function inTwo(name, fits) {
  const words = String(name).split(/\s+/);
  if (words.length < 2 || fits(name)) return [name];
  let first = 1;
  while (first < words.length - 1 && fits(words.slice(0, first + 1).join(" "))) ++first;
  return [words.slice(0, first).join(" "), words.slice(first).join(" ")];
}

function clipped(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && pen.measureText(`${letters.join("")}…`).width > width) letters.pop();
  return `${letters.join("").trimEnd()}…`;
}
