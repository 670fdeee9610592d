// The open conversation: bubbles, ticks, and whether an answer is on its way.

import { current } from "./contacts.js";
import { byId, element, icon } from "./dom.js";
import { conversation, known, waiting, webhookOf } from "./feed.js";
import { formatted, time } from "./format.js";
import { t } from "./texts.js";

const shown = new Map();

export function reset() {
  shown.clear();
  byId("log").replaceChildren();
  render();
}

export function render() {
  const customer = current();
  const log = byId("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 120;
  const messages = conversation(customer.address);
  byId("business").textContent = known.business.name;
  log.querySelector(".empty")?.remove();
  log.querySelector(".dots")?.remove();
  let fresh = false;
  for (const message of messages) fresh = show(log, message, customer) || fresh;
  const owed = waiting(customer.address);
  if (owed) log.append(dots(owed));
  if (!messages.length) log.append(element("p", { class: "empty" }, t("empty", { name: customer.name })));
  byId("presence").textContent = owed ? t(owed) : t("writingAs", { name: customer.profile ?? customer.name });
  if (fresh ? atEnd || messages.at(-1).inbound || shown.size === messages.length : atEnd) log.scrollTop = log.scrollHeight;
}

// True when the bubble is new. One that is there already is rebuilt only if what it shows has changed: a playing voice
// message must not start over because a tick moved.
function show(log, message, customer) {
  const state = tick(message);
  const place = location(message);
  const before = shown.get(message.sid);
  const signature = JSON.stringify([message.body, message.media, place]);
  if (before?.signature === signature) {
    if (before.tick !== state.text) {
      before.node.querySelector(".meta").replaceWith(meta(message, state));
      before.node.classList.toggle("failed", state.failed);
      before.tick = state.text;
    }
    return false;
  }
  const node = bubble(message, state, place, customer);
  if (before) before.node.replaceWith(node);
  else log.append(node);
  shown.set(message.sid, { node, signature, tick: state.text });
  return !before;
}

function bubble(message, state, place, customer) {
  const classes = ["bubble", message.inbound ? "mine" : "theirs", state.failed ? "failed" : ""];
  return element(
    "article",
    { class: classes.filter(Boolean).join(" "), "data-sid": message.sid },
    ...message.media.map((file) => attachment(file, customer)),
    place ? map(place) : null,
    message.body ? element("p", { class: "text" }, formatted(message.body)) : null,
    meta(message, state),
  );
}

function attachment(file, customer) {
  const source = `media/${file.sid}`;
  if (file.content_type.startsWith("image/")) {
    return element("img", { src: source, alt: t("photo", { name: customer.profile ?? customer.name }) });
  }
  if (file.content_type.startsWith("audio/")) {
    return element("audio", { src: source, controls: true, preload: "metadata", "aria-label": t("voice") });
  }
  return element("a", { href: source, class: "file", download: true }, icon("document"), t("file", { type: file.content_type }));
}

function map(place) {
  return element(
    "div",
    { class: "place" },
    element("div", { class: "map" }, icon("place")),
    place.label ? element("strong", {}, place.label) : null,
    place.address ? element("span", {}, place.address) : null,
    element("small", {}, t("map", place)),
  );
}

function location(message) {
  const form = new Map(webhookOf(message.sid)?.form ?? []);
  if (!message.inbound || !form.has("Latitude")) return null;
  return { latitude: form.get("Latitude"), longitude: form.get("Longitude"), label: form.get("Label"), address: form.get("Address") };
}

function meta(message, state) {
  return element("footer", { class: `meta ${state.name}` }, element("time", {}, time(message.at)), icon(state.icon, state.text), note(message, state));
}

function note(message, state) {
  return state.failed ? element("span", { class: "why" }, state.text) : null;
}

// A customer's message is through when the program took the webhook; the business's goes through Twilio's statuses.
function tick(message) {
  if (message.inbound) {
    const hook = webhookOf(message.sid);
    if (!hook) return { name: "waiting", icon: "waiting", text: t("tick.waiting"), failed: false };
    if (hook.status === 200) return { name: "delivered", icon: "delivered", text: t("tick.accepted"), failed: false };
    const text = hook.status ? t("tick.refused", hook) : t("tick.silent");
    return { name: "failed", icon: "failed", text, failed: true };
  }
  const failed = message.status === "failed" || message.status === "undelivered";
  const icons = { sent: "sent", delivered: "delivered", read: "delivered", failed: "failed", undelivered: "failed" };
  const known_as = icons[message.status] ? message.status : "queued";
  return { name: known_as, icon: icons[message.status] ?? "waiting", text: t(`tick.${known_as}`, { code: message.error_code }), failed };
}

function dots(owed) {
  return element("div", { class: "bubble theirs dots", role: "img", "aria-label": t(owed) }, element("i"), element("i"), element("i"));
}
