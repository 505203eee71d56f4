// The admin gateway of the mock: services/gateways/admin/openapi.json and the permission table of its README.

import {masked, newId} from "./fixtures.mjs";
import {Refusal} from "./server.mjs";

const kRoles = ["store-owner", "store-admin", "depot-staff", "depot-admin"];
const kTable = {
  session: "1111", "plan.see": "1111", "stores.see": "1111", "stores.create": "1100", "stores.edit": "1100", "participation.decide": "0100",
  "products.see": "1100", "products.edit": "1100", "orders.see": "0011", "orders.cancel": "0001", "depot.see": "0011", "depot.count": "0011", "bots.see": "0011",
  "pickup.see": "0011", "pickup.settle": "0011", "customers.see": "0001", "customers.edit": "0001", "operations.see": "0001", "operations.change": "0001",
};

export const permissionsOf = (roles) => Object.entries(kTable).filter(([, row]) => roles.some((role) => row[kRoles.indexOf(role)] === "1")).map(([name]) => name);
export const topicPermission = (topic) => topic.startsWith("order:") ? "orders.see"
  : {orders: "orders.see", lists: "depot.see", bots: "bots.see", invoices: "pickup.see", stores: "stores.see", ops: "operations.see"}[topic];

function meOf({mock, headers}) {
  const me = mock.sessions.get(/mallbots_staff=(\w+)/.exec(headers.cookie ?? "")?.[1]);
  if (!me) throw new Refusal(401, "not-signed-in", "Nobody is signed in.");
  return me;
}

/** A route behind a permission; a command needs its key, and the same key gives the same answer. */
function guarded(permission, act) {
  return async (ask) => {
    const me = meOf(ask);
    if (!permissionsOf(me.roles).includes(permission)) throw new Refusal(403, "forbidden", `Your role may not do this (${permission}).`);
    const key = ask.headers["idempotency-key"];
    if (ask.request.method !== "GET" && !ask.request.url.endsWith("/search") && !key) throw new Refusal(400, "invalid", "Idempotency-Key is missing.");
    ask.mock.answers ??= new Map();
    if (key && ask.mock.answers.has(key)) return ask.mock.answers.get(key);
    const result = await act({...ask, me});
    if (key) ask.mock.answers.set(key, result);
    return result;
  };
}

function paged(rows, query, field) {
  const from = Number(query.get("cursor") ?? 0);
  const limit = Number(query.get("limit") ?? 50);
  return [200, {[field]: rows.slice(from, from + limit), next: from + limit < rows.length ? String(from + limit) : null}];
}

function known(row, what) {
  if (!row) throw new Refusal(404, "unknown", `There is no such ${what}.`);
  return row;
}
const own = (me, store) => !me.roles.includes("store-owner") || me.roles.length > 1 || me.stores.includes(store.id);
const storeOf = ({mall, me, id}) => known(mall.stores.find((row) => row.id === id && own(me, row)), "store");
const orderOf = ({mall, id}) => known(mall.orders.get(id), "order");
const show = (mall, store) => { mall.board.put("stores", store); return [200, store]; };

/** As the gateway reads a body: what must be there is, and no text is blank. */
function refuseUnfit(body, needed) {
  for (const field of needed) if (!body[field]) throw new Refusal(400, "invalid", `'${field}' is missing`);
  for (const [field, value] of Object.entries(body)) if (value === "") throw new Refusal(400, "invalid", `'${field}' is blank`);
}

function signIn({mock, body, response}) {
  let role = null;
  if (body?.link) { role = mock.links.get(body.link); mock.links.delete(body.link); }
  else if (kRoles.includes(body?.name) && body.password === body.name) role = body.name;
  if (!role) throw new Refusal(401, "wrong-sign-in", body?.link ? "This link was used already, or is too old." : "Name or password is wrong.");
  const token = newId(mock.mall.next).replaceAll("-", "");
  const me = {name: body.name ?? "newcomer", roles: [role], stores: role === "store-owner" ? ["store-0002", "store-0010"] : [], permissions: permissionsOf([role])};
  mock.sessions.set(token, me);
  response.setHeader("Set-Cookie", `mallbots_staff=${token}; HttpOnly; SameSite=Strict; Path=/`);
  return [200, me];
}

const participation = (to) => guarded(to === "requested" ? "stores.edit" : "participation.decide", (ask) => show(ask.mall, Object.assign(storeOf(ask), {participation: to})));

export const adminRoutes = [
  ["POST", /^\/admin\/v1\/session$/, signIn],
  ["GET", /^\/admin\/v1\/session$/, (ask) => [200, meOf(ask)]],
  ["DELETE", /^\/admin\/v1\/session$/, ({mock, headers}) => { mock.sessions.delete(/mallbots_staff=(\w+)/.exec(headers.cookie ?? "")?.[1]); return [204]; }],
  ["GET", /^\/admin\/v1\/plan$/, guarded("plan.see", ({mall}) => [200, mall.plan])],
  ["GET", /^\/admin\/v1\/stores$/, guarded("stores.see", ({mall, me, query}) => paged(mall.stores.filter((row) => own(me, row)), query, "stores"))],
  ["POST", /^\/admin\/v1\/stores$/, guarded("stores.create", ({mall, me, body}) => {
    const store = {id: newId(mall.next), name: body.name, location: body.location, participation: "private"};
    mall.stores.push(store);
    me.stores.push(store.id);
    show(mall, store);
    return [201, store];
  })],
  ["GET", /^\/admin\/v1\/stores\/([^/]+)$/, guarded("stores.see", (ask) => [200, storeOf(ask)])],
  ["PATCH", /^\/admin\/v1\/stores\/([^/]+)$/, guarded("stores.edit", (ask) => show(ask.mall, Object.assign(storeOf(ask), {name: ask.body.name})))],
  ["POST", /^\/admin\/v1\/stores\/([^/]+)\/participation-request$/, participation("requested")],
  ["POST", /^\/admin\/v1\/stores\/([^/]+)\/participation$/, participation("participating")],
  ["DELETE", /^\/admin\/v1\/stores\/([^/]+)\/participation$/, guarded("stores.edit", (ask) => show(ask.mall, Object.assign(storeOf(ask), {participation: "private"})))],
  ["POST", /^\/admin\/v1\/stores\/([^/]+)\/participation-denial$/, participation("private")],
  ["GET", /^\/admin\/v1\/stores\/([^/]+)\/products$/, guarded("products.see", (ask) => {
    const store = storeOf(ask);
    return paged(ask.mall.products.filter((row) => row.store_id === store.id), ask.query, "products");
  })],
  ["POST", /^\/admin\/v1\/stores\/([^/]+)\/products$/, guarded("products.edit", (ask) => {
    refuseUnfit(ask.body, ["name", "sku", "price"]);
    const product = {id: newId(ask.mall.next), store_id: storeOf(ask).id, description: "", sku: "", ...ask.body};
    ask.mall.products.push(product);
    return [201, product];
  })],
  ["PATCH", /^\/admin\/v1\/stores\/([^/]+)\/products\/([^/]+)$/, guarded("products.edit", (ask) => {
    storeOf(ask);
    refuseUnfit(ask.body, ["name"]);
    return [200, Object.assign(known(ask.mall.products.find((row) => row.id === ask.id2), "product"), {description: ""}, ask.body)];
  })],
  ["PUT", /^\/admin\/v1\/stores\/([^/]+)\/products\/([^/]+)\/price$/, guarded("products.edit", (ask) => {
    storeOf(ask);
    return [200, Object.assign(known(ask.mall.products.find((row) => row.id === ask.id2), "product"), {price: ask.body.price})];
  })],
  ["DELETE", /^\/admin\/v1\/stores\/([^/]+)\/products\/([^/]+)$/, guarded("products.edit", (ask) => {
    storeOf(ask);
    ask.mall.products = ask.mall.products.filter((row) => row.id !== ask.id2);
    return [204];
  })],
  ["GET", /^\/admin\/v1\/orders$/, guarded("orders.see", ({mall, query}) => paged([...mall.orders.values()].filter((row) => row.id.startsWith(query.get("id") ?? "")).reverse().map((row) => mall.orderRow(row)), query, "orders"))],
  ["GET", /^\/admin\/v1\/orders\/([^/]+)$/, guarded("orders.see", (ask) => [200, ask.mall.orderWhole(orderOf(ask))])],
  ["GET", /^\/admin\/v1\/orders\/([^/]+)\/timeline$/, guarded("orders.see", (ask) => [200, {moments: ask.mall.moments.get(orderOf(ask).id)}])],
  ["POST", /^\/admin\/v1\/orders\/([^/]+)\/cancellation$/, guarded("orders.cancel", (ask) => {
    const order = orderOf(ask);
    if (["completed", "rejected"].includes(order.status)) throw new Refusal(409, "wrong-state", `The order is ${order.status}.`);
    ask.mall.cancel(order, ask.body.reason);
    return [200, ask.mall.orderWhole(order)];
  })],
  ["GET", /^\/admin\/v1\/depot\/lists$/, guarded("depot.see", ({mall, query}) => paged([...mall.lists.values()].filter((row) => (!query.get("status") || row.status === query.get("status")) && (!query.get("phase") || row.phase === query.get("phase"))), query, "lists"))],
  ["GET", /^\/admin\/v1\/depot\/lists\/([^/]+)$/, guarded("depot.see", ({mall, id}) => [200, known(mall.lists.get(id), "list")])],
  ["POST", /^\/admin\/v1\/depot\/lists\/([^/]+)\/inventory$/, guarded("depot.count", ({mall, id, body}) => {
    const list = known(mall.lists.get(id), "list");
    if (list.phase !== "at-depot") throw new Refusal(409, "done-already", "depot-staff was first with this inventory.");
    mall.count(mall.orders.get(list.order_id), body.counted);
    return [200, list];
  })],
  ["GET", /^\/admin\/v1\/bots$/, guarded("bots.see", ({mall, query}) => paged([...mall.bots.values()].map(({id, name, status, list_id}) => ({id, name, status, list_id})), query, "bots"))],
  ["POST", /^\/admin\/v1\/pickup\/search$/, guarded("pickup.see", ({mall, body}) => {
    const hits = [...mall.orders.values()].filter((row) => body.phone ? row.customer.sms_number === body.phone.replaceAll(" ", "") : row.id.startsWith(body.number));
    return [200, {orders: hits.sort((a, b) => (b.status === "ready") - (a.status === "ready")).slice(0, 50).map((row) => mall.orderRow(row))}];
  })],
  ["GET", /^\/admin\/v1\/pickup\/orders\/([^/]+)$/, guarded("pickup.see", (ask) => [200, ask.mall.pickup(orderOf(ask))])],
  ["POST", /^\/admin\/v1\/pickup\/orders\/([^/]+)\/payment$/, guarded("pickup.settle", (ask) => {
    const order = orderOf(ask);
    if (order.paid) throw new Refusal(409, "done-already", "Paid already, taken by depot-staff.");
    ask.mall.tell(order, "InvoicePaid", Date.now(), ask.body.by);
    ask.mall.settle(order, ask.body.by);
    return [200, ask.mall.pickup(order)];
  })],
  ["POST", /^\/admin\/v1\/pickup\/orders\/([^/]+)\/release$/, guarded("pickup.settle", (ask) => {
    const order = orderOf(ask);
    if (order.status === "completed") throw new Refusal(409, "done-already", "Handed over already by depot-staff.");
    order.status = "completed";
    ask.mall.tell(order, "OrderCompleted", Date.now(), "");
    ask.mall.show(order);
    return [200, ask.mall.pickup(order)];
  })],
  ["GET", /^\/admin\/v1\/customers$/, guarded("customers.see", ({mall, query}) => paged(mall.customers.filter((row) => row.name.toLowerCase().includes((query.get("name") ?? "").toLowerCase()))
    .map((row) => ({...row, sms_number: masked(row.sms_number)})), query, "customers"))],
  ["GET", /^\/admin\/v1\/customers\/([^/]+)$/, guarded("customers.see", ({mall, id}) => [200, known(mall.customers.find((row) => row.id === id), "customer")])],
  ["PUT", /^\/admin\/v1\/customers\/([^/]+)\/enabled$/, guarded("customers.edit", ({mall, id, body}) => [200, Object.assign(known(mall.customers.find((row) => row.id === id), "customer"), {enabled: body.enabled})])],
  ["PUT", /^\/admin\/v1\/customers\/([^/]+)\/number$/, guarded("customers.edit", ({mall, id, body}) => {
    if (!/^\+\d{7,15}$/.test(body.number)) throw new Refusal(400, "invalid", "number: a phone number needs a plus and 7 to 15 digits.");
    return [200, Object.assign(known(mall.customers.find((row) => row.id === id), "customer"), {sms_number: body.number})];
  })],
  ["GET", /^\/admin\/v1\/operations\/metrics$/, guarded("operations.see", ({mall}) => [200, mall.series])],
  ["GET", /^\/admin\/v1\/operations\/dead-letters\/([^/]+)\/([^/]+)$/, guarded("operations.see", ({mall, query}) => paged(mall.letters.filter((row) => !query.get("state") || row.state === query.get("state")), query, "letters"))],
  ...["replay", "purge"].map((what) => ["POST", new RegExp(`^/admin/v1/operations/dead-letters/([^/]+)/([^/]+)/${what}$`), guarded("operations.change", ({mall, body}) => {
    const chosen = mall.letters.filter((row) => row.state === "left" && (body.all || body.ids.includes(row.id)));
    chosen.forEach((row) => { row.state = what === "replay" ? "replayed" : "purged"; });
    mall.showLetters();
    return [200, {done: chosen.length}];
  })]),
  ["POST", /^\/admin\/v1\/operations\/sagas\/([^/]+)\/resume$/, guarded("operations.change", ({mall, id}) => { mall.board.remove("ops", `saga:${id}`); return [204]; })],
];
