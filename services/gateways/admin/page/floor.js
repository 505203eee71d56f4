// The mall at a glance: robots on the floor plan, orders by state.

import {blank, fill, h, skeletons} from "../../page/dom.js";
import {ago, grouped, kOrderStates, orderNumber} from "../../page/format.js";
import {countBy} from "./board.js";
import {facts, stateChip} from "./parts.js";
import {FloorPlan} from "./plan.js";
import {Table, failure} from "./table.js";

export function floorView({api, live, can, go}) {
  const counts = Object.fromEntries(Object.keys(kOrderStates).map((status) => [status, h("strong.num", {}, "…")]));
  const tiles = h("ul.tiles", {"aria-label": "Orders by state"}, Object.entries(kOrderStates).map(([status, {label, tone}]) =>
    h("li", {}, h("a.tile", {href: `#orders?state=${status}`, class: tone}, counts[status], h("span", {}, label)))));
  const stage = h("div.plan-stage");
  const robotsKey = h("span.key", {});
  const legend = h("p.legend", {}, robotsKey, h("span.key", {}, h("span.place.depot", {}, "Depot"), h("span.place.bay", {}, "Receiving bay"), h("span.place.store", {}, "Store")));
  const chosenBox = h("section.robot-card", {"aria-label": "The chosen robot"});
  const ends = [];
  let plan = null;
  let stores = [];
  let bots = new Map();
  let chosen = null;

  const table = new Table({label: "Robots", rowHeight: 40, open: (bot) => choose(bot.id),
    empty: {symbol: "robot", title: "No robot yet", text: "Robots appear here as soon as they connect."},
    columns: [
      {title: "Robot", size: "minmax(4em, 1fr)", class: "clip", text: (bot) => bot.name || bot.id},
      {title: "State", size: "6.2em", draw: (bot) => stateChip(bot.status), mark: (bot) => bot.status},
      {title: "Order", size: "6em", class: "mono clip", text: (bot) => bot.order_id ? orderNumber(bot.order_id) : "–"},
    ]});

  const choose = (id) => {
    chosen = id;
    plan?.choose(id);
    table.choose(id);
    showChosen();
  };
  const showChosen = () => {
    const bot = bots.get(chosen);
    chosenBox.hidden = !bot;
    if (!bot) return;
    const mark = `${bot.id}|${bot.status}|${bot.order_id}`;
    if (chosenBox.mark !== mark) {
      chosenBox.mark = mark;
      fill(chosenBox, h("h2", {}, bot.name || bot.id), h("div.robot-facts"),
        bot.order_id && can("orders.see") && h("button.button", {type: "button", on: {click: () => go("orders", bot.order_id)}}, `Order ${orderNumber(bot.order_id)}`));
    }
    fill(chosenBox.querySelector(".robot-facts"), facts([["State", stateChip(bot.status)], ["Position", Number.isFinite(bot.x) ? `${bot.x}, ${bot.y}` : "not known"], ["Heard", ago(bot.at_ms, Date.now())]]));
  };
  const onBots = (board) => {
    if (board.isLoading) return;
    bots = board.rows;
    const rows = [...bots.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    table.set(rows);
    plan?.setRobots(rows);
    const now = countBy(rows, "status");
    const text = ["active", "idle", "offline"].map((status) => `${grouped(now[status] ?? 0)} ${status}`);
    if (robotsKey.mark !== text.join()) {
      robotsKey.mark = text.join();
      fill(robotsKey, ["active", "idle", "offline"].map((status, index) => h("span", {class: status}, text[index])));
    }
    showChosen();
  };
  const onOrders = (board) => {
    if (board.isLoading) return;
    const now = countBy(board.rows.values(), "status");
    for (const [status, element] of Object.entries(counts)) element.textContent = grouped(now[status] ?? 0);
  };
  const begin = async () => {
    fill(stage, skeletons(1, "100%"));
    try {
      const drawn = await api.get("/admin/v1/plan", {tries: 3});
      if (!drawn.rows?.length) return fill(stage, blank({symbol: "map", title: "There is no floor plan", text: "The mall was started without one."}));
      const canvas = h("canvas", {role: "img", "aria-label": `Floor plan of ${drawn.name || "the mall"}, ${drawn.width} by ${drawn.height} cells. The depot and its receiving bay are at the upper left. The robots on it stand in the table beside it.`});
      fill(stage, canvas);
      plan?.close();
      plan = new FloorPlan(canvas, {plan: drawn, onPick: choose});
      plan.setStores(stores);
      plan.setRobots([...bots.values()]);
      plan.choose(chosen);
    } catch (problem) { fill(stage, failure(problem, begin)); }
  };
  begin();
  if (can("stores.see")) ends.push(live.subscribe("stores", (board) => { stores = [...board.rows.values()]; plan?.setStores(stores); }));
  if (can("orders.see")) ends.push(live.subscribe("orders", onOrders));
  if (can("bots.see")) ends.push(live.subscribe("bots", onBots, {onRefused: (problem) => table.fail(problem)}));
  chosenBox.hidden = true;
  return {
    title: "Floor",
    element: h("div.floor", {}, can("orders.see") && tiles, h("div.floor-body", {class: can("bots.see") ? "" : "alone"}, h("div.plan", {}, stage, legend),
      can("bots.see") && h("aside.robots", {"aria-label": "Robots"}, chosenBox, table.element))),
    close() { ends.forEach((end) => end()); plan?.close(); table.close(); },
  };
}
