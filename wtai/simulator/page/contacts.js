// The customers whose phones one can hold.

import { byId, element } from "./dom.js";
import { conversation, known, waiting } from "./feed.js";
import { number, time } from "./format.js";
import { t } from "./texts.js";

// Three people whom every business meets; the last has a number from before Brazil's ninth digit.
const PRESETS = [
  {
    address: "whatsapp:+5511987654321",
    name: "newCustomer",
    profile: "Ana Lima",
    says: ["Oi, bom dia!", "Que horas são?", "Qual o horário de funcionamento?", "Me conte uma história longa", "Obrigada!"],
  },
  {
    address: "whatsapp:+5521998765432",
    name: "angryCustomer",
    profile: "Bruno Reis",
    says: ["Já é a TERCEIRA vez que escrevo!!!", "Ninguém resolve nada 😡", "Quero falar com um atendente", "Vocês estão abertos ou não?"],
  },
  {
    address: "whatsapp:+555187654321",
    name: "shortNumber",
    profile: "Célia Souza",
    says: ["Boa tarde", "Meu nome é Célia", "Qual é o meu nome?", "Que dia é hoje?"],
  },
];
const OTHERS = ["Oi", "Que horas são?", "*Negrito*, _itálico_ e `código`"];

let added = JSON.parse(localStorage.getItem("wtai.contacts") ?? "[]");
let chosen = PRESETS[0].address;
const read = new Map();

export const current = () => contact(chosen);

export function contact(address) {
  const preset = PRESETS.find((one) => one.address === address);
  if (preset) return { ...preset, name: t(preset.name) };
  return { address, name: number(address), profile: undefined, says: OTHERS };
}

export function choose(address) {
  chosen = address;
  seen();
}

// What stands on the open phone counts as read.
export function seen() {
  read.set(chosen, conversation(chosen).length);
}

export function setUp(onChoose) {
  byId("add").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = byId("number");
    const digits = field.value.replace(/\D/g, "");
    const wrong = digits.length < 8 || digits.length > 15;
    byId("number-error").textContent = wrong ? t("badNumber") : "";
    field.setAttribute("aria-invalid", String(wrong));
    if (wrong) return field.focus();
    const address = `whatsapp:+${digits}`;
    if (!addresses().includes(address)) {
      added = [...added, address];
      localStorage.setItem("wtai.contacts", JSON.stringify(added));
    }
    field.value = "";
    onChoose(address);
  });
  byId("contacts").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) onChoose(button.dataset.address);
  });
}

function addresses() {
  const wrote = [...known.messages.values()].map((message) => message.customer);
  return [...new Set([...PRESETS.map((one) => one.address), ...added, ...wrote])];
}

export function render() {
  const list = byId("contacts");
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.address : null;
  list.replaceChildren(...addresses().map((address) => element("li", {}, row(contact(address)))));
  if (focused) list.querySelector(`[data-address="${CSS.escape(focused)}"]`)?.focus();
}

function row(one) {
  const messages = conversation(one.address);
  const last = messages.at(-1);
  const unread = one.address === chosen ? 0 : messages.slice(read.get(one.address) ?? 0).filter((message) => !message.inbound).length;
  const preview = waiting(one.address) === "typing" ? t("typing") : last ? last.body || mediaName(last) : number(one.address);
  return element(
    "button",
    { type: "button", class: "contact", "data-address": one.address, "aria-current": one.address === chosen ? "true" : false },
    element("span", { class: `avatar tone-${tone(one.address)}`, "aria-hidden": "true" }, initials(one)),
    element("span", { class: "name" }, one.name),
    element("span", { class: "when" }, last ? time(last.at) : ""),
    element("span", { class: "preview" }, preview),
    unread ? element("span", { class: "unread" }, String(unread)) : null,
  );
}

function mediaName(message) {
  const kind = message.media[0]?.content_type ?? "";
  return kind.startsWith("image/") ? t("image") : kind.startsWith("audio/") ? t("voice") : kind ? t("file", { type: kind }) : t("location");
}

const initials = (one) => (one.profile ?? one.address.slice(-2)).split(" ").map((word) => word[0] ?? "").join("").slice(0, 2).toUpperCase() || one.address.slice(-2);

const tone = (address) => [...address].reduce((sum, character) => sum + character.codePointAt(0), 0) % 6;
