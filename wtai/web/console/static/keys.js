// Keys of the console: single letters outside of fields, never with a modifier, so that no accent and no command of the browser or
// of a screen reader is eaten; they can be switched off (WCAG 2.1.4). Other scripts add theirs with keys.on("t", action).
"use strict";

(() => {
  const sheet = document.getElementById("keys");
  const PREFIX_MS = 1_500;
  const GO = { i: "/console", a: "/console?tab=ai", d: "/console/dashboard", s: "/console/settings" };
  const actions = new Map();
  let going = 0;

  const isField = (element) => element?.closest?.("input, textarea, select, [contenteditable]:not([contenteditable='false'])");
  const isPlain = (event) =>
    !event.ctrlKey && !event.metaKey && !event.altKey && !event.getModifierState("AltGraph") && !event.isComposing &&
    event.key !== "Dead" && event.keyCode !== 229;
  const isOn = () => sheet.dataset.on === "yes";

  function letter(event) {
    if (going) {
      clearTimeout(going);
      going = 0;
      const link = document.querySelector(event.key === "a" ? "#tab-ai" : `.bar nav a[href="${GO[event.key]}"]`);
      if (link) return () => link.click();
      if (event.key === "a") return () => location.assign(GO.a); // a tab of the inbox, which is another page
    }
    if (event.key === "g") return () => { going = setTimeout(() => { going = 0; }, PREFIX_MS); };
    if (event.key === "?") return () => sheet.showModal();
    return actions.get(event.key);
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || !isPlain(event) || isField(event.target) || document.querySelector("dialog[open]")) return;
    const isNamed = event.key.length > 1;
    const action = isNamed ? actions.get(event.key) : isOn() && letter(event);
    if (action && action(event) !== false) event.preventDefault();
  });

  sheet.querySelector("input[name=on]").addEventListener("change", (event) => {
    sheet.dataset.on = event.target.checked ? "yes" : "no";
    fetch("/console/keys", { method: "POST", body: new URLSearchParams({ on: sheet.dataset.on }) });
  });

  globalThis.keys = { on: (key, action) => actions.set(key, action) };
})();
