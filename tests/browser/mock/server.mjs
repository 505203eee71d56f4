// Both gateways of the mock, each on a port of its own: pages, REST, the live socket. Alone: node tests/browser/mock/server.mjs
//   KEY=VALUE ...   stores=12 products=24 orders=60 only=ready bots=12 hostile=1 quiet=1 role=depot-admin kiosk_port=8601 admin_port=8602
// In tests: startMock({...}) -> {kiosk, admin, mall, trouble, close()}. `trouble` is read at each request:
//   {status: 503} for every call of data, {delay_ms}, {match: "/products"} narrows both.

import {createServer} from "node:http";
import {readFileSync} from "node:fs";
import {extname} from "node:path";
import {fileURLToPath} from "node:url";
import {adminRoutes, permissionsOf, topicPermission} from "./admin_routes.mjs";
import {kioskRoutes} from "./kiosk_routes.mjs";
import {Mall} from "./mall.mjs";
import {upgrade} from "./socket.mjs";

const kGateways = fileURLToPath(new URL("../../../services/gateways/", import.meta.url));
const kTypes = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"};
// As services/gateways/http/assets.cpp says it.
const kPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export class Refusal extends Error {
  constructor(status, type, detail, more = {}) { super(detail); Object.assign(this, {status, type, detail, more}); }
}

function page(which, path) {
  const file = path === "/" ? `${which}/page/index.html` : path.startsWith("/page/") ? path.slice(1) : `${which}/page${path}`;
  if (file.includes("..") || !kTypes[extname(file)]) return null;
  try {
    return {type: kTypes[extname(file)], bytes: readFileSync(kGateways + file)};
  } catch { return null; }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function readJson(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const text = Buffer.concat(parts).toString();
  return text ? JSON.parse(text) : undefined;
}

async function answer(mock, which, routes, request, response) {
  const url = new URL(request.url, "http://mock");
  const asset = request.method === "GET" && page(which, url.pathname);
  if (asset) {
    response.writeHead(200, {"Content-Type": asset.type, "Content-Security-Policy": kPolicy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"});
    return response.end(asset.bytes);
  }
  const say = (status, body, type = "application/json") => {
    response.writeHead(status, {"Content-Type": type, "Cache-Control": "no-store", ...(status === 503 ? {"Retry-After": "1"} : {})});
    response.end(body === undefined || status === 204 ? undefined : JSON.stringify(body));
  };
  try {
    const {trouble} = mock;
    const body = await readJson(request);
    mock.requests.push({which, method: request.method, path: url.pathname, body, key: request.headers["idempotency-key"]});
    if (url.pathname !== "/admin/v1/session" && (!trouble.match || url.pathname.includes(trouble.match))) {
      if (trouble.delay_ms) await pause(trouble.delay_ms);
      if (trouble.status) throw new Refusal(trouble.status, trouble.type ?? "unavailable", "A part of the mall does not answer.");
    }
    for (const [method, pattern, act] of routes) {
      const match = method === request.method && pattern.exec(url.pathname);
      if (!match) continue;
      const [status, result] = await act({mock, mall: mock.mall, request, query: url.searchParams, body, headers: request.headers, response,
        id: match[1] && decodeURIComponent(match[1]), id2: match[2] && decodeURIComponent(match[2])});
      return say(status, result);
    }
    throw new Refusal(404, "unknown", `There is no ${request.method} ${url.pathname}.`);
  } catch (error) {
    if (!(error instanceof Refusal)) { console.error(error); return say(500, {type: "about:blank", title: "Broken mock", status: 500, detail: String(error)}, "application/problem+json"); }
    say(error.status, {type: `urn:mallbots:problem:${error.type}`, title: error.type, status: error.status, detail: error.detail, remedy: error.remedy ?? "", ...error.more}, "application/problem+json");
  }
}

function listen(server, port) {
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}`)));
}

export async function startMock(options = {}) {
  const mock = {mall: new Mall(options), trouble: {}, requests: [], sessions: new Map(), role: options.role ?? "depot-admin", links: new Map([["first-link", options.role ?? "depot-admin"]]), sockets: new Set()};
  const kiosk = createServer((request, response) => answer(mock, "kiosk", kioskRoutes, request, response));
  const admin = createServer((request, response) => answer(mock, "admin", adminRoutes, request, response));
  admin.on("upgrade", (request, stream) => {
    const me = mock.sessions.get(/mallbots_staff=(\w+)/.exec(request.headers.cookie ?? "")?.[1]);
    if (!me || mock.trouble.socket === "refuse") return stream.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let viewer = null;
    const socket = upgrade(request, stream, {onText: (text) => viewer.take(text), onClose: () => { mock.sockets.delete(socket); mock.mall.board.viewers.delete(viewer); }});
    const may = permissionsOf(me.roles);
    viewer = mock.mall.board.view(socket, me, (topic) => may.includes(topicPermission(topic)) ? null
      : {type: "urn:mallbots:problem:forbidden", title: "Forbidden", status: 403, detail: `Your role may not see ${topic}.`, remedy: ""});
    mock.sockets.add(socket);
  });
  const addresses = {kiosk: await listen(kiosk, options.kiosk_port ?? 0), admin: await listen(admin, options.admin_port ?? 0)};
  return Object.assign(mock, addresses, {
    close: async () => {
      mock.mall.close();
      for (const server of [kiosk, admin]) { server.closeAllConnections(); await new Promise((resolve) => server.close(resolve)); }
    },
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = {};
  for (const word of process.argv.slice(2)) {
    const [name, value] = word.split("=");
    options[name] = /^\d+$/.test(value) ? Number(value) : value;
  }
  const mock = await startMock({kiosk_port: 8601, admin_port: 8602, ...options});
  console.log(`kiosk ${mock.kiosk}/\nstaff ${mock.admin}/#link=first-link   (or any role as name and password, e.g. depot-staff / depot-staff)`);
}
