// What reaches somebody who looks elsewhere: the count of what is unread, a dot on the tab's icon and, where it was asked for in this
// browser, a sound and a notification. Nothing of it while the page is in sight.
"use strict";

(() => {
  const ROOT = "/console";
  const HIDDEN_MS = 30_000, SOON_MS = 500, YEAR_SECONDS = 365 * 86_400;
  const icon = document.querySelector("link[rel=icon]");
  const plain = icon.getAttribute("href");
  const choices = document.getElementById("alerts");
  const refused = document.getElementById("alerts-refused");
  const [sound, notice] = ["sound", "notice"].map((name) => choices.querySelector(`[name=${name}]`));

  // --- what was chosen: in a cookie, since a log-out empties what else is kept here ---
  const chosen = () => /(?:^|; )wtai_alerts=([\w.]*)/.exec(document.cookie)?.[1].split(".") ?? [];
  const mayNotify = () => globalThis.Notification?.permission === "granted";

  function keep() {
    const names = [sound, notice].filter((box) => box.checked).map((box) => box.name);
    document.cookie = `wtai_alerts=${names.join(".")}; path=${ROOT}; max-age=${YEAR_SECONDS}; samesite=lax`;
  }

  function refuse() {
    notice.checked = false;
    refused.hidden = false;
    keep();
  }

  choices.addEventListener("change", async ({ target }) => {
    refused.hidden = true;
    if (target === sound && sound.checked) beep();
    if (target === notice && notice.checked && (await Notification.requestPermission()) !== "granted") refuse();
    else keep();
  });
  sound.checked = chosen().includes("sound");
  notice.checked = chosen().includes("notice") && mayNotify();
  notice.closest("label").hidden = !("Notification" in globalThis);
  choices.hidden = false;

  // --- how it sounds and looks ---
  let audio = null, note = null;
  function beep() {
    if (!navigator.userActivation.hasBeenActive) return; // browsers keep a page silent that nobody has touched
    audio ??= new AudioContext();
    const tone = audio.createOscillator(), volume = audio.createGain();
    tone.frequency.value = 880;
    volume.gain.setValueAtTime(0.2, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.4);
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.4);
  }

  function notify() {
    try {
      note = new Notification(choices.dataset.title, { body: choices.dataset.text, tag: "wtai", renotify: true });
    } catch { // there are browsers, those of telephones, in which a page may ask for this and never do it
      return refuse();
    }
    note.addEventListener("click", () => { focus(); note.close(); });
  }

  // --- what there is ---
  let show = null; // shows how many conversations have something unread
  let unread = 0;
  let known = null; // which they were when it last asked, out of sight
  function mark() {
    icon.setAttribute("href", unread && document.hidden ? icon.dataset.dotted : plain);
  }

  async function ask() {
    const answer = await fetch(`${ROOT}/unread`, { headers: { "HX-Request": "true" } }).catch(() => null); // it is asked again
    if (answer?.status !== 200) return;
    const ids = await answer.json();
    show(ids.length);
    const isNews = known !== null && ids.some((id) => !known.has(id));
    known = document.hidden ? new Set(ids) : null;
    if (!isNews || !known || !leads) return;
    if (chosen().includes("sound")) beep();
    if (chosen().includes("notice") && mayNotify()) notify();
  }

  let asking = 0;
  function askSoon() {
    asking ||= setTimeout(() => { asking = 0; ask(); }, SOON_MS);
  }

  // --- of several tabs the one that was seen last leads: out of sight, it alone keeps a stream open, and alerts ---
  let leads = !navigator.locks, queued = null, ear = null;
  function lead({ steal = false } = {}) {
    queued?.abort();
    queued = steal ? null : new AbortController();
    const signal = queued?.signal;
    const held = () => {
      leads = true;
      listen();
      return new Promise(() => {}); // for as long as the page lives
    };
    navigator.locks.request("wtai-alerts", steal ? { steal } : { signal }, held).catch(() => {
      if (signal?.aborted) return;
      leads = false; // another one was looked at
      lead();
      listen();
    });
  }

  function listen() { // what is news begins here
    ear?.close();
    ear = document.hidden && leads ? new EventSource(`${ROOT}/live`) : null;
    for (const name of ["changed", "resync"]) ear?.addEventListener(name, askSoon);
    known = null;
    if (document.hidden) ask();
  }

  function follow(shows) {
    show = shows;
    if (navigator.locks) lead({ steal: !document.hidden });
    document.addEventListener("visibilitychange", () => {
      mark();
      listen();
      if (document.hidden) return;
      note?.close();
      if (!leads) lead({ steal: true });
    });
    setInterval(() => { if (document.hidden) ask(); }, HIDDEN_MS);
  }

  globalThis.alerts = { follow, ask, count: (count) => { unread = count; mark(); } };
})();
