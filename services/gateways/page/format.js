// Numbers, money, times and identifiers in words. Pure.

const kSymbols = {GBP: "£", EUR: "€", USD: "$"};

/** {minor: 125000, currency: "GBP"} -> "£1,250.00". Whole pennies, never through a float. */
export function money(value) {
  if (!value || !Number.isFinite(value.minor)) return "–";
  const minor = Math.trunc(value.minor);
  const size = Math.abs(minor);
  const text = `${grouped(Math.floor(size / 100))}.${String(size % 100).padStart(2, "0")}`;
  const symbol = kSymbols[value.currency];
  return (minor < 0 ? "−" : "") + (symbol ? symbol + text : `${text} ${value.currency ?? ""}`.trim());
}

/** "12.5" or "1,250.00" -> minor units; null: no amount of at most two decimals. */
export function minorOf(text) {
  const match = /^\s*[£€$]?\s*(\d{1,3}(?:,\d{3})+|\d{1,10})(?:\.(\d{1,2}))?\s*$/.exec(String(text));
  if (!match) return null;
  return Number(match[1].replaceAll(",", "")) * 100 + Number((match[2] ?? "").padEnd(2, "0"));
}

export function grouped(number) {
  if (!Number.isFinite(number)) return "–";
  const [whole, rest] = String(Math.abs(number)).split(".");
  return (number < 0 ? "−" : "") + whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (rest ? `.${rest}` : "");
}

/** 1 -> "1 item", 2 -> "2 items". */
export function plural(count, one, many = `${one}s`) {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** 1234567 -> "1.2 M": for plots and tiles. */
export function compact(number) {
  if (!Number.isFinite(number)) return "–";
  for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e4, " k"]]) {
    const scaled = size === 1e4 ? 1e3 : size;
    if (Math.abs(number) >= size) return `${trimmed(number / scaled)}${unit}`;
  }
  return grouped(Number.isInteger(number) ? number : Number(number.toFixed(number < 10 ? 2 : 1)));
}

function trimmed(number) {
  return number.toFixed(Math.abs(number) < 10 ? 1 : 0).replace(/\.0$/, "");
}

export function bytes(number) {
  if (!Number.isFinite(number)) return "–";
  for (const [size, unit] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (number >= size) return `${trimmed(number / size)} ${unit}`;
  }
  return `${number} B`;
}

/** 95000 -> "1 min 35 s". */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 0) return duration(0);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 10) return `${trimmed(ms / 1000)} s`;
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min${seconds % 60 ? ` ${seconds % 60} s` : ""}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** How long ago, coarse: it is read at a glance. */
export function ago(at_ms, now_ms) {
  if (!Number.isFinite(at_ms) || at_ms <= 0) return "–";
  const ms = now_ms - at_ms;
  if (ms < 5000) return "just now";
  if (ms < 60_000) return `${Math.floor(ms / 1000)} s ago`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ago`;
  return `${Math.floor(ms / 86_400_000)} d ago`;
}

const pad = (number) => String(number).padStart(2, "0");

/** Local wall time, "14:02:07"; with the day when it is another one than now's. */
export function clock(at_ms, now_ms = at_ms) {
  if (!Number.isFinite(at_ms) || at_ms <= 0) return "–";
  const at = new Date(at_ms);
  const text = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  if (at.toDateString() === new Date(now_ms).toDateString()) return text;
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${text}`;
}

/** The order number that people say: the first eight characters, in two groups. Shorter ids stay whole. */
export function orderNumber(id) {
  const plain = String(id ?? "").replaceAll("-", "");
  if (plain.length <= 10) return String(id ?? "");
  return `${plain.slice(0, 4)} ${plain.slice(4, 8)}`.toUpperCase();
}

/** The whole id as it is read aloud: plain ones in groups of four. */
export function wholeNumber(id) {
  const text = String(id ?? "");
  return /^[0-9a-z]{12,20}$/.test(text) ? text.match(/.{1,4}/g).join(" ") : text;
}

/** What somebody typed for it, as it may stand at the start of an id: ids are in small letters, without spaces. */
export function numberTyped(text) {
  const plain = String(text).trim();
  const joined = plain.replace(/\s+/g, "").replace(/^([0-9a-z]{4})-([0-9a-z]{1,4})$/i, "$1$2");
  return /^[0-9a-z-]{5,}$/i.test(joined) ? joined.toLowerCase() : plain;
}

export const kOrderStates = {
  pending: {label: "Pending", tone: ""},
  approved: {label: "Approved", tone: "blue"},
  "in-progress": {label: "In progress", tone: "violet"},
  ready: {label: "Ready", tone: "amber"},
  completed: {label: "Completed", tone: "green"},
  rejected: {label: "Rejected", tone: "red"},
  cancelled: {label: "Cancelled", tone: "red"},
};

/** "StoreParticipationToggled" -> "Store participation toggled". */
export function words(name) {
  const spaced = String(name ?? "").replace(/^.*\./, "").replace(/[_-]+/g, " ").replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
