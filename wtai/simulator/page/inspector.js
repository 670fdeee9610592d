// What goes over the wires: webhooks to the program, its calls to Twilio, and the faults one can arm between them.

import { current } from "./contacts.js";
import { byId, element, icon, toast } from "./dom.js";
import { disarm, known, post } from "./feed.js";
import { time } from "./format.js";
import { t } from "./texts.js";

const TABS = ["webhooks", "requests", "faults"];
const RETRY_AFTER = "2";

let everybody = false;
let armed = [];

export function setUp() {
  const tabs = TABS.map((name) => byId(`tab-${name}`));
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => select(at));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = (at + step + tabs.length) % tabs.length;
      select(next);
      tabs[next].focus();
    });
  });
}

function select(chosen) {
  TABS.forEach((name, at) => {
    const tab = byId(`tab-${name}`);
    tab.setAttribute("aria-selected", String(at === chosen));
    tab.tabIndex = at === chosen ? 0 : -1;
    byId(name).hidden = at !== chosen;
  });
}

export function render() {
  const { address } = current();
  const mine = (entry, customer) => everybody || customer === undefined || customer === address;
  const hooks = known.webhooks.filter((hook) => mine(hook, hook.customer));
  const calls = known.requests.filter((call) => mine(call, new Map(call.form).get("To")));
  list("webhooks", hooks, webhook, t("noWebhooks"));
  list("requests", calls, request, t("noRequests"));
}

// Newest first; what is open stays open, and only new entries are built.
function list(id, items, build, empty) {
  const panel = byId(id);
  const before = new Map([...panel.querySelectorAll("details.entry")].map((node) => [node.dataset.key, node]));
  const nodes = items.toReversed().map((item) => {
    const key = `${item.number}-${document.documentElement.lang}-${callbacks(item).length}`;
    const kept = before.get(key);
    if (kept) return kept;
    const node = build(item);
    node.dataset.key = key;
    node.open = [...before.entries()].some(([old, one]) => one.open && old.startsWith(`${item.number}-`));
    return node;
  });
  panel.replaceChildren(filter(), ...(nodes.length ? nodes : [element("p", { class: "hint" }, empty)]));
}

function filter() {
  const box = element("input", { type: "checkbox", onchange: (event) => ((everybody = event.target.checked), render()) });
  box.checked = everybody;
  return element("label", { class: "filter" }, box, t("allCustomers"));
}

function webhook(hook) {
  const form = new Map(hook.form);
  const title = hook.inbound ? t("received") : t("status", { status: form.get("MessageStatus") });
  const command = element("pre", { class: "curl", tabindex: "0" }, hook.curl);
  const buttons = element(
    "div",
    { class: "actions" },
    element("button", { type: "button", class: "copy", onclick: () => copy(hook.curl, command) }, icon("copy"), t("copyCurl")),
    hook.inbound ? element("button", { type: "button", class: "again", onclick: () => redeliver(hook.sid) }, icon("again"), t("redeliver")) : null,
  );
  const detail = hook.inbound ? form.get("Body") || form.get("MessageType") : form.get("ErrorCode");
  return entry(hook, title, detail, [
    buttons,
    element("p", { class: "url" }, element("b", {}, "POST "), hook.url),
    section(t("signature"), table(hook.headers.filter(([name]) => name === "X-Twilio-Signature"))),
    section(t("form"), table(hook.form)),
    section(t("curl"), command),
  ]);
}

function request(call) {
  const form = new Map(call.form);
  const name = call.path.includes("/Indicators/") ? "typing_call" : call.path.includes("/Media/") ? "media_call" : call.path.includes("/Messages.json") ? (call.method === "POST" ? "send_call" : "list_call") : "other_call";
  const path = call.path.replace(/AC[0-9a-f]{32}/, (sid) => `${sid.slice(0, 6)}…`);
  return entry(call, t(name), form.get("Body") ?? path, [
    element("p", { class: "url" }, element("b", {}, `${call.method} `), call.path),
    call.form.length ? section(t("form"), table(call.form)) : null,
    callbacks(call).length ? section(t("callbacks"), chain(callbacks(call))) : null,
  ]);
}

// The callback's address carries the program's own id of the message: it tells which call a callback belongs to.
function callbacks(call) {
  if (call.method !== "POST") return [];
  const address = new Map(call.form).get("StatusCallback");
  return address ? known.webhooks.filter((hook) => hook.url === address) : [];
}

function chain(hooks) {
  const steps = hooks.map((hook) => {
    const form = new Map(hook.form);
    const code = form.get("ErrorCode");
    return element("li", {}, element("time", {}, time(hook.at, true)), ` ${form.get("MessageStatus")}${code ? ` (${code})` : ""} `, badge(hook.status));
  });
  return element("ol", { class: "chain" }, ...steps);
}

function entry(item, title, detail, body) {
  const summary = element(
    "summary",
    {},
    element("time", {}, time(item.at, true)),
    element("span", { class: "title" }, title),
    badge(item.status),
    detail ? element("span", { class: "detail" }, detail) : null,
  );
  return element("details", { class: detail ? "entry" : "entry short" }, summary, ...body.filter(Boolean));
}

function badge(status) {
  const kind = status >= 200 && status < 400 ? "good" : "bad";
  return element("span", { class: `status ${kind}` }, status ? String(status) : t("noAnswer"));
}

const section = (title, content) => element("section", {}, element("h3", {}, title), content);

function table(pairs) {
  const rows = pairs.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)));
  return element("table", {}, element("tbody", {}, ...rows));
}

async function copy(text, command) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("copied"));
  } catch {
    toast(t("notCopied"));
    getSelection().selectAllChildren(command);
  }
}

async function redeliver(sid) {
  const { status } = await post("redeliver", { sid });
  toast(t("redelivered", { status: status || t("noAnswer") }));
}

// Built when the customer or the language changes, not with every event: what is being chosen must stay.
export function renderFaults() {
  const times = element("input", { type: "number", id: "times", min: "1", max: "99", value: "1" });
  const only = element("input", { type: "checkbox", id: "only" });
  only.checked = true;
  const options = element(
    "div",
    { class: "options" },
    element("label", {}, `${t("times")} `, times),
    element("label", {}, only, ` ${t("onlyThis", { name: current().name })}`),
  );
  const kinds = known.faults.map((kind) => fault(kind, times, only));
  const history = element("ul", { id: "armed", "aria-live": "polite" }, ...armed.map((text) => element("li", {}, text)));
  const clear = element("button", { type: "button", onclick: clearFaults }, t("disarm"));
  byId("faults").replaceChildren(receipts(), element("p", { class: "hint" }, t("faultsHint")), options, element("ul", { class: "kinds" }, ...kinds), clear, history);
}

function fault(kind, times, only) {
  const arm = async () => {
    const count = Math.max(1, Number(times.value) || 1);
    const to = only.checked ? { to: inboundFault(kind) ? known.business.number : current().address } : {};
    const wait = kind === "429" ? { retry_after: RETRY_AFTER } : {};
    await post("faults", { kind, times: count, ...to, ...wait });
    armed = [`${time(Date.now(), true)} ${t("armed", { fault: kind, times: count })}`, ...armed].slice(0, 8);
    byId("armed").replaceChildren(...armed.map((text) => element("li", {}, text)));
    toast(t("armed", { fault: kind, times: count }));
  };
  return element(
    "li",
    {},
    element("code", {}, kind),
    element("span", {}, t(`fault.${kind}`)),
    element("button", { type: "button", onclick: arm, "aria-label": `${t("arm")} ${kind}` }, t("arm")),
  );
}

// This one befalls what goes to the business.
const inboundFault = (kind) => kind === "webhook_duplicated";

function receipts() {
  const box = element("input", { type: "checkbox", id: "receipts", onchange: (event) => post("receipts", { read: event.target.checked }) });
  box.checked = known.read;
  box.addEventListener("change", () => (known.read = box.checked));
  return element("label", { class: "receipts" }, box, element("span", {}, element("b", {}, t("receipts")), element("small", {}, t("receiptsHint"))));
}

async function clearFaults() {
  await disarm();
  armed = [];
  byId("armed").replaceChildren();
  toast(t("disarmed"));
}
