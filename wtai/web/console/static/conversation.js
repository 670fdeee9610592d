// A conversation in the browser: it follows what moves, keeps drafts, counts the window down, and knows its keys.
"use strict";

(() => {
  const BEAT_MS = 10_000, DRAFT_MS = 500, TYPING_MS = 4_000, UNDO_MS = 5_000, NEAR_PX = 120, MOST_VALUES = 20;
  const get = (id) => document.getElementById(id);
  let talk = null; // the conversation that is open now
  let heard = new Set(); // the person's messages in it that the page knows
  let sent = null; // the text that is on its way
  let labelling = ""; // the conversation that is being opened to be labelled
  const waiting = new Map(); // drafts to be kept, by field

  const post = (path, values) => fetch(path, { method: "POST", headers: { "HX-Request": "true" }, body: new URLSearchParams(values) });
  const refresh = () => get("talk-live")?.dispatchEvent(new CustomEvent("refresh"));
  const log = () => get("talk-log");

  // --- coming and going ---
  function attach() {
    const found = get("talk");
    if (found === talk) return;
    leave();
    talk = found;
    if (labelling !== talk?.dataset.id) labelling = "";
    if (!talk) return;
    heard = new Set(inbound().map((line) => line.id));
    for (const field of talk.querySelectorAll("textarea[data-kind]")) restore(field);
    show(get("talk-note-text").value && !get("talk-text")?.value ? "note" : "reply");
    beat();
  }

  function leave() {
    for (const field of [...waiting.keys()]) keep(field, { leaving: true });
    if (talk) navigator.sendBeacon(`${talk.dataset.path}/here`, new URLSearchParams({ gone: "1" }));
    talk = null;
  }

  function beat() {
    if (talk && !document.hidden) htmx.ajax("POST", `${talk.dataset.path}/here`, { target: "#talk-here", swap: "innerMorph" });
  }

  const inbound = () => [...talk.querySelectorAll("li.msg.user")];

  function follow() {
    if (!talk?.isConnected) return;
    const fresh = inbound().filter((line) => !heard.has(line.id) && get("talk-tail").contains(line));
    for (const line of fresh) {
      heard.add(line.id);
      const told = document.createElement("p");
      told.textContent = [...line.querySelectorAll(".hidden, .text, .transcript, .file b")].map((part) => part.textContent.trim()).join(" ");
      get("talk-heard").append(told);
    }
    while (get("talk-heard").children.length > 20) get("talk-heard").firstChild.remove();
    if (fresh.length && Math.abs(log().scrollTop) > NEAR_PX) get("talk-down").hidden = false;
    showWindow();
  }

  // What is being read stays where it is, whatever comes above or below; at the end the newest stays in sight.
  let held = null;
  function hold() {
    held = null;
    if (!talk?.isConnected || Math.abs(log().scrollTop) < NEAR_PX) return;
    const top = log().getBoundingClientRect().top;
    const line = [...talk.querySelectorAll("#talk-log li.msg")].find((one) => one.getBoundingClientRect().bottom > top);
    if (line) held = { id: line.id, top: line.getBoundingClientRect().top };
  }

  function holdStill() {
    const line = held && get(held.id);
    if (line) log().scrollTop += line.getBoundingClientRect().top - held.top;
  }

  function down() {
    log().scrollTop = 0; // the log grows upwards: its beginning is its end
    get("talk-down").hidden = true;
  }

  // --- the 24-hour window ---
  function showWindow() {
    const left = get("talk-window");
    if (!left?.dataset.closes) return;
    const minutes = Math.floor((Number(left.dataset.closes) - Date.now()) / 60_000);
    if (minutes < 0) return refresh();
    const text = `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
    const place = left.querySelector(".left");
    if (place.textContent !== text) place.textContent = text;
    left.classList.toggle("warn", minutes < 120);
  }

  // --- writing ---
  function show(mode) {
    talk.dataset.mode = mode;
    for (const button of talk.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  }

  function write(mode) {
    show(mode);
    const field = get(mode === "note" ? "talk-note-text" : "talk-text");
    const usable = field && !field.matches(":disabled") ? field : talk.querySelector(".template-form select");
    usable?.focus();
    if (usable === field) field.setSelectionRange(field.value.length, field.value.length);
  }

  // What the server has not kept yet outlives a reload that overtakes it.
  const placeOf = (field) => `${field.closest(".talk").dataset.id}/${field.dataset.kind}`;
  function restore(field) {
    const text = sessionStorage.getItem(placeOf(field));
    if (text === null) return;
    field.value = text;
    typed(field);
  }

  let typedAt = 0;
  function typed(field) {
    sessionStorage.setItem(placeOf(field), field.value);
    clearTimeout(waiting.get(field));
    waiting.set(field, setTimeout(keep, DRAFT_MS, field));
    if (Date.now() - typedAt > TYPING_MS) { // colleagues see it at once
      typedAt = Date.now();
      keep(field);
    }
  }

  async function keep(field, { leaving = false } = {}) {
    clearTimeout(waiting.get(field));
    waiting.delete(field);
    const values = { kind: field.dataset.kind, text: field.value, once: field.form.elements.once.value };
    const path = `${field.closest(".talk").dataset.path}/draft`;
    if (leaving) return navigator.sendBeacon(path, new URLSearchParams(values));
    const place = placeOf(field);
    const answer = await post(path, values);
    if (answer.ok && sessionStorage.getItem(place) === values.text) sessionStorage.removeItem(place);
  }

  function forget(field) {
    sessionStorage.removeItem(placeOf(field));
    clearTimeout(waiting.get(field));
    waiting.delete(field);
  }

  function done(form) { // it was taken: the next one is another
    form.elements.once.value = crypto.randomUUID();
    const field = form.querySelector("textarea[data-kind]");
    if (field) {
      forget(field);
      field.value = sent !== null && field.value.startsWith(sent) ? field.value.slice(sent.length).trimStart() : "";
      if (field.value) typed(field);
    } else {
      form.reset();
      form.closest("details")?.removeAttribute("open");
    }
    down();
  }

  // --- canned replies ---
  const canned = () => get("talk-canned");
  const options = () => [...(canned()?.querySelectorAll("[role=option]:not([hidden])") ?? [])];
  const chosen = () => canned()?.querySelector("[aria-selected=true]:not([hidden])");

  function select(option) {
    for (const other of canned().children) other.setAttribute("aria-selected", String(other === option));
    option?.scrollIntoView({ block: "nearest" });
    if (option) get("talk-text").setAttribute("aria-activedescendant", option.id);
    else get("talk-text").removeAttribute("aria-activedescendant");
  }

  async function offer(field) {
    const asked = /^\/(\S*)$/.exec(field.value)?.[1].toLowerCase();
    if (asked === undefined) return close();
    if (!canned().children.length) {
      const answer = await fetch("/console/canned", { headers: { "HX-Request": "true" } });
      if (!answer.ok || !/^\/\S*$/.test(field.value)) return;
      canned().innerHTML = await answer.text();
    }
    for (const option of canned().children) option.hidden = !option.textContent.toLowerCase().includes(asked);
    canned().hidden = !options().length;
    select(options().find((option) => option.querySelector("b").textContent === `/${asked}`) ?? options()[0]);
  }

  function close() {
    if (!canned() || canned().hidden) return false;
    canned().hidden = true;
    select(null);
    return true;
  }

  function take(option) {
    const field = get("talk-text");
    field.value = option.dataset.text;
    close();
    field.focus();
    typed(field);
  }

  function pick(event) {
    if (canned()?.hidden !== false || event.ctrlKey || event.metaKey) return;
    const all = options(), at = all.indexOf(chosen());
    if (event.key === "ArrowDown" || event.key === "ArrowUp") select(all[(at + (event.key === "ArrowDown" ? 1 : all.length - 1)) % all.length]);
    else if ((event.key === "Enter" || event.key === "Tab") && chosen()) take(chosen());
    else if (event.key !== "Escape" || !close()) return;
    event.preventDefault();
    event.stopPropagation();
  }

  // --- closing, which can be taken back for a moment ---
  function closeSoon(form) {
    const path = form.getAttribute("action"), values = { version: form.elements.version.value };
    const notice = get("talk-closing").content.firstElementChild.cloneNode(true);
    const back = document.activeElement;
    const stop = () => {
      clearTimeout(timer);
      removeEventListener("pagehide", away);
      notice.remove();
      if (back?.isConnected) back.focus();
    };
    const now = async () => {
      stop();
      const answer = await post(path, values);
      if (!answer.ok) get("notices").innerHTML = await answer.text();
      refresh();
    };
    const away = () => navigator.sendBeacon(path, new URLSearchParams(values));
    const timer = setTimeout(now, UNDO_MS);
    addEventListener("pagehide", away);
    notice.querySelector("[data-undo]").addEventListener("click", stop);
    notice.querySelector("[data-now]").addEventListener("click", now);
    notice.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      stop();
    });
    get("notices").replaceChildren(notice);
    notice.querySelector("[data-undo]").focus();
  }

  function about(open) {
    talk.toggleAttribute("data-about", open);
    (open ? get("talk-about-close") : get("talk-info")).focus();
  }

  // Where labels are put on; without one left to put on, where they are taken off.
  function label() {
    labelling = "";
    const about = get("talk-about");
    const choice = about.querySelector(".label-form select") ?? about.querySelector(".labelled button, a[href='/console/labels']");
    if (!choice) return false;
    if (!choice.checkVisibility()) talk.toggleAttribute("data-about", true);
    choice.focus();
  }

  function labelFocused() {
    const line = document.activeElement?.closest("#rows li[data-id]");
    if (!line || line.dataset.id === talk?.dataset.id) return talk ? label() : false;
    labelling = line.dataset.id; // once it is open
    line.querySelector("a").click();
  }

  function moreValues(button) {
    const inputs = button.parentElement.querySelectorAll("input");
    if (inputs.length >= MOST_VALUES) return;
    const input = inputs[0].cloneNode();
    const number = inputs.length + 1;
    input.name = `var_${number}`;
    input.value = "";
    input.placeholder = `{{${number}}}`;
    input.setAttribute("aria-label", button.dataset.moreValues.replace("{n}", number));
    button.before(input);
    input.focus();
  }

  // --- what happens ---
  const isOurs = (form) => form?.matches?.("#talk-reply, #talk-note, .template-form");

  document.body.addEventListener("moved", (event) => {
    if (talk && (event.detail.ids === null || event.detail.ids.includes(talk.dataset.id))) refresh();
  });
  document.addEventListener("htmx:before:request", (event) => {
    const { sourceElement: source, target } = event.detail.ctx;
    if (isOurs(source)) {
      const field = source.querySelector("textarea[data-kind]");
      sent = field ? field.value : null;
      if (field) forget(field);
    }
    if (target?.id === "talk-sheet-body") target.textContent = target.dataset.loading;
  });
  document.addEventListener("htmx:after:request", (event) => {
    const { sourceElement: source, response } = event.detail.ctx;
    if (!isOurs(source) || !talk?.contains(source)) return;
    if (response?.status < 400) done(source);
    else {
      const field = source.querySelector("textarea[data-kind]");
      if (field) keep(field);
      refresh();
    }
  });
  document.addEventListener("htmx:before:swap", hold);
  document.addEventListener("htmx:after:swap", () => {
    attach();
    follow();
    holdStill();
    if (labelling && labelling === talk?.dataset.id) label();
  });
  document.addEventListener("input", (event) => {
    if (!event.target.matches("#talk textarea[data-kind]")) return;
    typed(event.target);
    if (event.target.id === "talk-text") offer(event.target);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id === "talk-close") { event.preventDefault(); closeSoon(event.target); }
  });
  document.addEventListener("click", (event) => {
    if (!talk) return;
    const mode = event.target.closest("#talk .kind");
    if (mode) write(mode.dataset.mode);
    if (event.target.closest("#talk-down")) down();
    if (event.target.closest("#talk-info")) about(!talk.hasAttribute("data-about"));
    if (event.target.closest("#talk-about-close")) about(false);
    const more = event.target.closest("[data-more-values]");
    if (more) moreValues(more);
    const option = event.target.closest("#talk-canned [role=option]");
    if (option) take(option);
    if (event.target.closest(".talk-give button")) event.target.closest("details").open = false;
  });
  document.addEventListener("scroll", (event) => {
    if (event.target.id === "talk-log" && Math.abs(log().scrollTop) < NEAR_PX) get("talk-down").hidden = true;
  }, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => {
    if (event.target.id === "talk-text") pick(event);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("#talk textarea")) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
    if (event.key === "Enter" && event.target.matches("#talk .label-form select")) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
    if (event.key === "Escape" && event.target.matches("#talk textarea, #talk input, #talk select") && !event.defaultPrevented) {
      event.target.blur(); // so that single letters are keys again
      event.stopPropagation();
    }
    if (event.key === "Escape" && talk?.hasAttribute("data-about")) { about(false); event.stopPropagation(); }
  }, { capture: true });
  document.addEventListener("visibilitychange", beat);
  addEventListener("pagehide", leave);
  addEventListener("pageshow", attach);
  setInterval(beat, BEAT_MS);
  setInterval(showWindow, 15_000);

  const press = (id) => () => (get(id) ? get(id).click() : false);
  const act = {
    t: press("talk-take"),
    b: press("talk-back"),
    e: () => (get("talk-close") ? get("talk-close").requestSubmit() : false),
    r: () => (talk ? write("reply") : false),
    n: () => (talk ? write("note") : false),
    a: () => {
      const give = talk?.querySelector(".talk-give");
      if (!give) return false;
      give.open = true;
      give.querySelector("button:not(:disabled)")?.focus();
    },
    l: labelFocused,
  };
  addEventListener("DOMContentLoaded", () => {
    htmx.registerExtension("unchanged", { // a message that is as it was stays as it is
      htmx_before_morph_node: (_element, { oldNode, newNode }) => !oldNode.dataset?.rev || oldNode.dataset.rev !== newNode.dataset.rev,
    });
    for (const [key, action] of Object.entries(act)) keys.on(key, action);
    if (get("thread")) new MutationObserver(attach).observe(get("thread"), { childList: true }); // also where the inbox closes it
    attach();
    showWindow();
  });
})();
