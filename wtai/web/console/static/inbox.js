// The inbox in the browser: the list that keeps up with what moves, and the conversation that is open beside it.
"use strict";

(() => {
  const panes = document.getElementById("panes");
  const rows = document.getElementById("rows");
  const find = document.getElementById("find");
  const thread = document.getElementById("thread");
  const toTop = document.getElementById("to-top");
  const title = document.title;
  const ROOT = "/console";
  const MOST_BACK = 100; // pages of a conversation
  const MOST_ROWS = 500; // of a list that is asked for again as a whole
  const SOON_MS = 60;
  const [RESTS, MOST_REST_MS] = [4, 2_000]; // after an answer, as many times as long as it took: a busy server has time for others
  const WAITS_MS = 30_000;
  const [SOME_MS, MUCH_MS] = [5 * 60_000, 30 * 60_000];

  const FILTERS = ["state", "label", "assignee", "channel", "feature"];

  find.elements.shown.disabled = find.elements.open.disabled = false;
  const lines = () => [...rows.querySelectorAll("li[data-id]")];
  const lineOf = (id) => lines().find((line) => line.dataset.id === id);
  const idOf = (path) => (path.startsWith(`${ROOT}/c/`) ? path.slice(ROOT.length + 3).split("/")[0] : "");
  const openId = () => panes.dataset.open || "";

  // --- the list ---
  function query() {
    const asked = new URLSearchParams(new FormData(find));
    const tab = document.getElementById(`tab-${asked.get("tab")}`);
    for (const name of ["shown", "open"]) asked.delete(name);
    if (asked.get("tab") === "needs") asked.delete("tab");
    if (tab && asked.get("sort") === tab.dataset.sort) asked.delete("sort");
    for (const [name, value] of [...asked]) if (!value) asked.delete(name);
    return asked.size ? `?${asked}` : "";
  }

  let soon = 0, began = 0, rested = 0;
  function refresh({ anew = false } = {}) {
    if (!anew && find.elements.q.value.trim()) return alerts.ask(); // what was found stays as it was found
    if (anew) {
      clearTimeout(soon);
      soon = 0;
      rows.scrollTop = 0;
    }
    if (soon) return;
    const wait = anew ? 0 : Math.max(SOON_MS, rested - performance.now());
    soon = setTimeout(() => {
      soon = 0;
      const count = anew ? 0 : lines().length;
      toTop.hidden = count <= MOST_ROWS;
      if (count > MOST_ROWS) return;
      find.elements.shown.value = count;
      began = performance.now();
      rows.dispatchEvent(new CustomEvent("refresh"));
    }, wait);
  }

  function asked({ push = false } = {}) {
    const set = FILTERS.filter((name) => find.elements[name].value).length;
    const badge = document.getElementById("filters-set");
    badge.textContent = set;
    badge.hidden = !set;
    history[push ? "pushState" : "replaceState"]({}, "", location.pathname + query());
    refresh({ anew: true });
  }

  function fill(search) {
    const given = new URLSearchParams(search);
    for (const name of ["q", ...FILTERS]) find.elements[name].value = given.get(name) ?? "";
    find.elements.tab.value = given.get("tab") ?? "needs";
    find.elements.sort.value = given.get("sort") ?? document.getElementById(`tab-${find.elements.tab.value}`)?.dataset.sort ?? "waiting";
  }

  function showUnread(count) {
    const badge = document.getElementById("unread-badge");
    const text = count > 99 ? "99+" : String(count);
    badge.textContent = text;
    badge.hidden = !count;
    const line = lineOf(openId());
    const name = line ? `${line.querySelector(".who b").textContent} · ${title.split(" · ").pop()}` : title;
    document.title = count ? `(${text}) ${name}` : name;
    alerts.count(count);
  }

  function showWaits() {
    for (const waits of rows.querySelectorAll(".waits")) {
      const since = Date.now() - new Date(waits.querySelector("time").dateTime);
      waits.dataset.long = since > MUCH_MS ? "much" : since > SOME_MS ? "some" : "";
    }
  }

  function drawn() {
    const seen = new Set();
    for (const line of lines()) seen.has(line.id) ? line.remove() : seen.add(line.id); // it moved between two pages
    showUnread(Number(document.querySelector("#tabs [data-unread]").dataset.unread));
    showWaits();
    if (lineOf(openId())?.classList.contains("unread")) read();
  }

  // --- the conversation ---
  let keepUnread = "";
  function settle(id, { push = false } = {}) {
    if (id) panes.dataset.open = id; else delete panes.dataset.open;
    find.elements.open.value = id;
    for (const link of rows.querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
    for (const line of lines()) if (line.dataset.id === id) line.querySelector("a").setAttribute("aria-current", "true");
    if (push) history.pushState({}, "", (id ? `${ROOT}/c/${id}` : ROOT) + query());
    if (keepUnread !== id) keepUnread = "";
    showUnread(Number(document.querySelector("#tabs [data-unread]").dataset.unread));
  }

  async function mark(id, as) {
    const answer = await fetch(`${ROOT}/c/${encodeURIComponent(id)}/${as}`, { method: "POST" });
    if (answer.ok) refresh();
  }

  function read() {
    const id = openId();
    if (id && id !== keepUnread && !document.hidden) mark(id, "read");
  }

  async function reveal(id, message) { // what was found may stand further back than the page begins
    for (let page = 0; page < MOST_BACK && openId() === id; page++) {
      const found = document.getElementById(message);
      const older = thread.querySelector(".older button");
      if (found) {
        found.classList.add("found");
        found.scrollIntoView({ block: "center" });
      }
      if (found || !older) return;
      const came = new Promise((resolve) => {
        const heard = () => {
          if (older.isConnected) return;
          document.removeEventListener("htmx:after:swap", heard);
          resolve();
        };
        document.addEventListener("htmx:after:swap", heard);
      });
      older.click();
      await came;
    }
  }

  async function empty() { // as a swap, so that everybody hears of it
    const text = document.getElementById("nothing-open").innerHTML;
    await htmx.swap({ sourceElement: thread, target: thread, swap: "innerHTML", text });
  }

  async function close() {
    const id = openId();
    await empty();
    settle("", { push: true });
    (lineOf(id)?.querySelector("a") ?? rows).focus();
  }

  async function goTo(path) {
    const id = idOf(path);
    if (id === openId()) return;
    if (id) return htmx.ajax("GET", `${ROOT}/c/${id}/thread`, { target: "#thread", swap: "innerHTML" });
    await empty();
    settle("");
  }

  // --- what happens ---
  document.body.addEventListener("moved", (event) => {
    refresh();
    const mayBeOpen = event.detail.ids === null || event.detail.ids.includes(openId());
    if (mayBeOpen && !lineOf(openId())) read(); // what is in the list tells by itself whether there is something to read
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { refresh(); read(); } });
  setInterval(showWaits, WAITS_MS);

  let focused = null, sought = "";
  document.addEventListener("htmx:before:swap", () => { focused = document.activeElement?.closest("#rows li[data-id]")?.id; });
  document.addEventListener("htmx:after:swap", (event) => {
    const { ctx } = event.detail;
    const source = ctx.sourceElement;
    const id = ctx.target === thread && ctx.request ? idOf(new URL(ctx.request.action, location).pathname) : "";
    if (id) {
      settle(id, { push: idOf(location.pathname) !== id });
      read();
      thread.focus({ preventScroll: true });
      if (sought) reveal(id, sought);
      sought = "";
    } else if (source?.closest?.("#rows")) {
      const now = performance.now();
      rested = now + Math.min(RESTS * (now - began), MOST_REST_MS);
      drawn();
      if (focused && document.activeElement === document.body) document.getElementById(focused)?.querySelector("a").focus({ preventScroll: true });
    }
  });

  find.addEventListener("submit", (event) => { event.preventDefault(); asked(); });
  find.addEventListener("change", (event) => { if (event.target.matches("select")) asked(); });
  let typing = 0;
  find.elements.q.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(asked, 200); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.matches("#rows a.line")) sought = link.closest("li").dataset.message ?? "";
    if (link.dataset.tab && link.closest("#list")) {
      event.preventDefault();
      find.elements.tab.value = link.dataset.tab;
      find.elements.sort.value = link.dataset.sort;
      find.elements.q.value = "";
      for (const tab of document.querySelectorAll("#tabs a")) tab.toggleAttribute("aria-current", false);
      document.getElementById(`tab-${link.dataset.tab}`).setAttribute("aria-current", "page");
      asked({ push: true });
    } else if ("clear" in link.dataset) {
      event.preventDefault();
      for (const name of ["q", ...FILTERS]) find.elements[name].value = "";
      asked({ push: true });
      find.elements.q.focus();
    } else if (link.id === "back") {
      event.preventDefault();
      close();
    }
  });
  toTop.addEventListener("click", () => refresh({ anew: true }));
  addEventListener("popstate", () => {
    fill(location.search);
    refresh({ anew: true });
    goTo(location.pathname);
  });

  // --- keys ---
  const isInList = () => document.activeElement === document.body || rows.contains(document.activeElement);
  function step(by) {
    const links = lines().map((line) => line.querySelector("a"));
    const at = links.indexOf(document.activeElement?.closest("a.line"));
    const from = at >= 0 ? at : links.findIndex((link) => link.hasAttribute("aria-current"));
    const next = links[from < 0 ? 0 : Math.min(Math.max(from + by, 0), links.length - 1)];
    next?.focus({ preventScroll: true });
    next?.closest("li").scrollIntoView({ block: "nearest" });
  }
  keys.on("j", () => step(1));
  keys.on("k", () => step(-1));
  keys.on("ArrowDown", () => (isInList() ? step(1) : false));
  keys.on("ArrowUp", () => (isInList() ? step(-1) : false));
  keys.on("/", () => find.elements.q.select());
  keys.on("u", () => {
    const id = document.activeElement?.closest("#rows li")?.dataset.id ?? openId();
    if (id && id === openId()) keepUnread = id;
    if (id) mark(id, "unread");
  });
  keys.on("Escape", () => (openId() && !document.querySelector("details.menu[open]") ? close() : false));

  drawn();
  alerts.follow(showUnread);
})();
