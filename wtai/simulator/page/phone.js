// Puts the page together: what happens is told by feed.js, each view renders what it is about.

import * as chat from "./chat.js";
import * as composer from "./composer.js";
import * as contacts from "./contacts.js";
import { byId } from "./dom.js";
import { connect, known, watch } from "./feed.js";
import * as inspector from "./inspector.js";
import { switchLanguage, t, translate } from "./texts.js";

const shell = byId("shell");
let live = null;

function show(pane) {
  shell.dataset.pane = pane;
}

function renderAll() {
  contacts.render();
  composer.render();
  chat.reset();
  inspector.render();
  inspector.renderFaults();
  showLive(live);
  byId("console").hidden = !known.console;
  if (known.console) byId("console").href = known.console;
}

function open(address) {
  contacts.choose(address);
  show("chat");
  renderAll();
  if (matchMedia("(pointer: fine)").matches) byId("text").focus();
}

function showLive(on) {
  live = on;
  byId("live").textContent = on === null ? "" : t(on ? "live" : "reconnecting");
  byId("live").dataset.on = String(on === true);
}

function switchTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" || (!theme() && matchMedia("(prefers-color-scheme: dark)").matches);
  localStorage.setItem("wtai.theme", dark ? "light" : "dark");
  applyTheme();
}

const theme = () => localStorage.getItem("wtai.theme");

function applyTheme() {
  if (theme()) document.documentElement.dataset.theme = theme();
}

watch((name, data) => {
  if (name === "live") return showLive(data);
  if (name === "state") return renderAll();
  if (name !== "request") {
    contacts.seen();
    contacts.render();
    chat.render();
  }
  if (name === "webhook" || name === "request") inspector.render();
});

applyTheme();
translate();
contacts.setUp(open);
composer.setUp();
inspector.setUp();
byId("language").addEventListener("click", () => {
  switchLanguage();
  renderAll();
});
byId("theme").addEventListener("click", switchTheme);
byId("back").addEventListener("click", () => show("contacts"));
byId("inspect").addEventListener("click", () => show("inspector"));
byId("inspector-back").addEventListener("click", () => show("chat"));
setInterval(chat.render, 5_000); // typing and waiting end without an event
connect();
