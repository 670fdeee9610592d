// What every page of the console does in the browser: times in the reader's zone, the sign of life, forms that submit themselves.
"use strict";

(() => {
  const root = document.documentElement;
  const language = root.lang;
  root.classList.add("js");

  const STYLES = {
    time: { hour: "2-digit", minute: "2-digit" },
    date: { day: "2-digit", month: "short", year: "numeric" },
    short: { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" },
    long: { dateStyle: "full", timeStyle: "medium" },
  };
  const formats = new Map(Object.entries(STYLES).map(([name, style]) => [name, new Intl.DateTimeFormat(language, style)]));
  const relative = new Intl.RelativeTimeFormat(language, { style: "narrow", numeric: "auto" });

  function ago(then) {
    const seconds = Math.round((then - Date.now()) / 1000);
    for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
      if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
    }
    return relative.format(0, "second");
  }

  function writeTimes(within) {
    for (const element of within.querySelectorAll("time[datetime][data-style]")) {
      const then = new Date(element.dateTime);
      const style = element.dataset.style;
      const text = style === "ago" ? ago(then) : formats.get(style).format(then);
      if (element.textContent !== text) element.textContent = text;
      if (style !== "long" && !element.title) element.title = formats.get("long").format(then);
    }
  }

  // The sign of life: live while the stream beats, reconnecting while it does not, out of date once that has lasted.
  const sign = document.getElementById("live");
  const BEAT_MS = 5_000;
  let timer = 0;
  function show(state) {
    if (!sign || sign.dataset.state === "over") return;
    clearTimeout(timer);
    const then = { live: ["connecting", 2 * BEAT_MS + 1_000], connecting: ["stale", 3 * BEAT_MS] }[state];
    if (then) timer = setTimeout(show, then[1], then[0]);
    sign.dataset.state = state;
    if (sign.textContent !== sign.dataset[state]) sign.textContent = sign.dataset[state];
  }

  function tell(name, detail) {
    document.body.dispatchEvent(new CustomEvent(name, { detail, bubbles: false }));
  }

  const stream = document.getElementById("stream");
  if (stream) {
    let heard = false;
    show("connecting");
    const alive = () => { heard = true; show("live"); };
    stream.addEventListener("beat", alive);
    stream.addEventListener("changed", (event) => { alive(); tell("moved", { ids: JSON.parse(event.detail.data) }); });
    stream.addEventListener("resync", () => { alive(); tell("moved", { ids: null }); });
    stream.addEventListener("over", () => {
      show("over");
      location.reload();
    });
    stream.addEventListener("htmx:sse:error", () => show("connecting"));
    stream.addEventListener("htmx:sse:before:connection", () => { if (heard) show("connecting"); });
    addEventListener("offline", () => show("stale"));
  }

  async function copy(button, from) {
    if (!navigator.clipboard) { // not over plain HTTP: there people copy by themselves
      from.hidden = false;
      return getSelection().selectAllChildren(from);
    }
    await navigator.clipboard.writeText(from.textContent.trim());
    const label = button.querySelector("span");
    if (!label) return;
    button.dataset.label ??= label.textContent;
    label.textContent = button.dataset.copied;
    setTimeout(() => { label.textContent = button.dataset.label; }, 2_000);
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  });
  document.addEventListener("click", (event) => {
    const dismiss = event.target.closest("[data-dismiss]");
    if (dismiss) dismiss.closest(".notice").remove();
    const copies = event.target.closest("[data-copy]");
    if (copies) copy(copies, document.getElementById(copies.dataset.copy));
    const opens = event.target.closest("[data-opens]");
    if (opens) document.getElementById(opens.dataset.opens).showModal();
    const closes = event.target.closest("[data-closes]");
    if (closes) closes.closest("dialog").close();
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  document.addEventListener("htmx:after:swap", () => writeTimes(document));
  setInterval(() => writeTimes(document), 30_000);
  writeTimes(document);
})();
