// Writing, attaching and recording on the customer's phone.

import { current } from "./contacts.js";
import { byId, element, toast } from "./dom.js";
import { post } from "./feed.js";
import { t } from "./texts.js";

const LIMIT = 16 * 1024 * 1024; // WhatsApp's limit for what Twilio passes on

let recording = null;

export function setUp() {
  const text = byId("text");
  text.addEventListener("input", fit);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      byId("composer").requestSubmit();
    }
  });
  byId("composer").addEventListener("submit", submit);
  byId("record").addEventListener("click", record);
  byId("record-cancel").addEventListener("click", () => finish(false));
  byId("suggestions").addEventListener("click", (event) => {
    if (event.target.matches("button")) send({ body: event.target.textContent });
  });
  setUpAttachments();
}

function setUpAttachments() {
  const menu = byId("attach");
  const pick = (input) => () => {
    menu.open = false;
    byId(input).click();
  };
  byId("attach-image").addEventListener("click", pick("image-file"));
  byId("attach-audio").addEventListener("click", pick("audio-file"));
  for (const input of [byId("image-file"), byId("audio-file")]) {
    input.addEventListener("change", async () => {
      if (input.files[0]) await sendFile(input.files[0], input.files[0].type);
      input.value = "";
    });
  }
  byId("attach-place").addEventListener("click", () => {
    menu.open = false;
    byId("place").showModal();
  });
  byId("place-cancel").addEventListener("click", () => byId("place").close());
  byId("place-form").addEventListener("submit", (event) => {
    const form = new FormData(event.target);
    const location = { latitude: Number(form.get("latitude")), longitude: Number(form.get("longitude")) };
    send({ location: { ...location, label: form.get("label"), address: form.get("address") } });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
}

export function render() {
  byId("suggestions").replaceChildren(...current().says.map((text) => element("button", { type: "button" }, text)));
  fit();
}

function fit() {
  const text = byId("text");
  const empty = !text.value.trim();
  byId("send").hidden = empty;
  byId("record").hidden = !empty;
  text.rows = Math.min(5, text.value.split("\n").length);
}

async function submit(event) {
  event.preventDefault();
  const text = byId("text");
  const body = text.value.trim();
  if (!body) return;
  text.value = "";
  fit();
  text.focus();
  if (!(await send({ body })) && !text.value) {
    text.value = body;
    fit();
  }
}

async function send(message) {
  const { address, profile } = current();
  try {
    await post("messages", { from: address, profile_name: profile, ...message });
    return true;
  } catch (error) {
    toast(t("notSent", { why: error.message }));
    return false;
  }
}

async function sendFile(file, type) {
  if (file.size > LIMIT) return toast(t("tooLarge"));
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  await send({ media: { content_type: type || "application/octet-stream", data_base64: btoa(binary) } });
}

async function record() {
  if (recording) return finish(true);
  let microphone;
  try {
    microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch {
    return toast(t("noMicrophone"));
  }
  // WhatsApp sends Ogg; a browser that cannot write it records what it can, and the webhook says which.
  const type = ["audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4"].find((one) => MediaRecorder.isTypeSupported(one));
  const recorder = new MediaRecorder(microphone, type ? { mimeType: type } : {});
  const chunks = [];
  const started = Date.now();
  recording = { recorder, microphone, keep: false };
  recording.ticking = setInterval(() => {
    const seconds = Math.floor((Date.now() - started) / 1000);
    byId("recorded").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }, 250);
  recorder.addEventListener("dataavailable", (event) => chunks.push(event.data));
  recorder.addEventListener("stop", () => ended(new Blob(chunks, { type: recorder.mimeType })));
  recorder.start();
  showRecording(true);
}

function finish(keep) {
  if (!recording) return;
  recording.keep = keep;
  recording.recorder.stop();
}

function ended(blob) {
  const { keep, microphone, ticking } = recording;
  recording = null;
  clearInterval(ticking);
  for (const track of microphone.getTracks()) track.stop();
  showRecording(false);
  if (keep) sendFile(blob, blob.type);
}

function showRecording(on) {
  byId("recording").hidden = !on;
  byId("writing").hidden = on;
  byId("attach").hidden = on;
  byId("recorded").textContent = "0:00";
  const button = byId("record");
  button.classList.toggle("on", on);
  button.dataset.tLabel = on ? "stopRecording" : "record";
  button.setAttribute("aria-label", t(button.dataset.tLabel));
  button.title = t(button.dataset.tLabel);
  button.querySelector("use").setAttribute("href", `icons.svg#${on ? "send" : "mic"}`);
}
