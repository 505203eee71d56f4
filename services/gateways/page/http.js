// Calls to the gateway: JSON both ways, refusals as values with words, repetition that is harmless.
// A command gets one idempotency key for all its tries: what a lost answer hides happens once.

/** A refusal (RFC 9457), or that nobody answered (status 0). */
export class Problem extends Error {
  constructor({status, type = "", title = "", detail = "", remedy = "", retry_after_s = 0, body = {}}) {
    super(detail || title || `status ${status}`);
    Object.assign(this, {status, type: type.replace("urn:mallbots:problem:", ""), title, detail, remedy, retry_after_s, body});
  }
  get isAway() { return this.status === 0 || this.status === 503 || this.status === 429; }
}

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Api {
  /** fetch: the browser's, or a test's. tries: for answers that say "later". */
  constructor({fetch = (...args) => globalThis.fetch(...args), timeout_ms = 10_000, tries = 4, wait = pause, headers = () => ({})} = {}) {
    Object.assign(this, {fetch, timeout_ms, tries, wait, headers});
  }

  get(path, options = {}) { return this.ask("GET", path, undefined, options); }

  /** A command: the same key for each try. */
  send(method, path, body, options = {}) {
    return this.ask(method, path, body, {key: newKey(), tries: this.tries, ...options});
  }

  async ask(method, path, body, {key, tries = 1, headers = {}, signal} = {}) {
    for (let attempt = 1;; ++attempt) {
      try {
        return await this.once(method, path, body, {key, headers, signal});
      } catch (problem) {
        if (!(problem instanceof Problem) || !problem.isAway || attempt >= tries || signal?.aborted) throw problem;
        await this.wait(Math.min(8000, Math.max(problem.retry_after_s * 1000, 300 * 2 ** (attempt - 1))));
      }
    }
  }

  async once(method, path, body, {key, headers, signal}) {
    const all = {Accept: "application/json", ...this.headers(), ...headers};
    if (body !== undefined) all["Content-Type"] = "application/json";
    if (key) all["Idempotency-Key"] = key;
    const limit = AbortSignal.timeout(this.timeout_ms);
    let answer;
    let text;
    try {
      answer = await this.fetch(path, {
        method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin",
        cache: "no-cache", signal: signal ? AbortSignal.any([signal, limit]) : limit,
      });
      text = await answer.text(); // an answer that breaks off is none
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Problem({status: 0, type: "unreachable", title: "No answer",
        detail: "The mall does not answer at present.", remedy: "Try again in a moment."});
    }
    let json = null;
    try { json = text ? JSON.parse(text) : null; } catch { json = null; }
    if (answer.ok) return json;
    const said = json && typeof json === "object" ? json : {};
    throw new Problem({...said, title: said.title ?? answer.statusText, status: answer.status, body: said,
      retry_after_s: Number(answer.headers.get("Retry-After")) || 0});
  }
}

/** Each page of a list in turn: onPage(rows so far, done). Ends when `signal` says so. */
export async function pages(api, path, field, {limit = 200, at_most = 20_000, signal, headers} = {}, onPage = () => {}) {
  const rows = [];
  let cursor = null;
  do {
    const join = path.includes("?") ? "&" : "?";
    const page = await api.get(`${path}${join}limit=${limit}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, {signal, headers, tries: 3});
    rows.push(...page[field]);
    cursor = page.next;
    onPage(rows, !cursor);
  } while (cursor && rows.length < at_most);
  return rows;
}
