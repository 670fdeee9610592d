// What the page knows: one read of /state, then server-sent events. Views subscribe to what changes.

export const known = {
  business: { name: "", number: "" },
  faults: [],
  read: false,
  console: null,
  messages: new Map(),
  webhooks: [],
  requests: [],
  typing: new Map(),
};

const KEPT = 300;
const TYPING_MS = 25_000; // Twilio shows the indicator until the answer, or for 25 s
const PATIENCE_MS = 60_000; // an answer that is not there by then may never come
const watchers = [];
let inbound = new Map();
let stream = null;

export const watch = (watcher) => watchers.push(watcher);
export const webhookOf = (sid) => inbound.get(sid);

export async function post(path, body) {
  const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return response.status === 204 ? null : response.json();
}

export async function disarm() {
  await fetch("faults", { method: "DELETE" });
}

export async function connect() {
  stream?.close();
  const state = await (await fetch("state")).json();
  Object.assign(known, state, {
    messages: new Map(state.messages.map((message) => [message.sid, message])),
    typing: new Map(),
  });
  inbound = new Map(known.webhooks.filter((hook) => hook.inbound).map((hook) => [hook.sid, hook]));
  tell("state", null);
  stream = new EventSource(`events?after=${state.last}`);
  stream.onopen = () => tell("live", true);
  stream.onerror = () => tell("live", false);
  for (const [name, take] of Object.entries(TAKERS)) {
    stream.addEventListener(name, (event) => {
      const data = JSON.parse(event.data);
      take(data);
      tell(name, data);
    });
  }
  stream.addEventListener("resync", () => connect());
}

const TAKERS = {
  message(data) {
    known.messages.set(data.sid, data);
    if (!data.inbound) known.typing.delete(data.customer);
  },
  typing(data) {
    known.typing.set(data.customer, Date.now() + TYPING_MS);
  },
  webhook(data) {
    keep(known.webhooks, data);
    if (data.inbound) inbound.set(data.sid, data);
  },
  request(data) {
    keep(known.requests, data);
  },
};

function keep(list, item) {
  list.push(item);
  if (list.length > KEPT) list.shift();
}

function tell(name, data) {
  for (const watcher of watchers) watcher(name, data);
}

export function conversation(customer) {
  return [...known.messages.values()].filter((message) => message.customer === customer);
}

// Why the customer still waits: "typing", "awaiting", or null when nothing is owed.
export function waiting(customer) {
  if ((known.typing.get(customer) ?? 0) > Date.now()) return "typing";
  const last = conversation(customer).at(-1);
  const recent = last && Date.now() - last.at < PATIENCE_MS;
  return recent && last.inbound && webhookOf(last.sid)?.status === 200 ? "awaiting" : null;
}
