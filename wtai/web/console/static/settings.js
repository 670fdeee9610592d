// What the settings do in the browser: a form goes once, a prompt starts from what is shipped.
"use strict";

(() => {
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-once]")) return;
    // After the browser has read the form: what is disabled is not sent.
    setTimeout(() => { for (const button of event.target.querySelectorAll("button")) button.disabled = true; });
  });
  addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("[data-once] button")) button.disabled = false;
  });

  document.addEventListener("click", (event) => {
    const fills = event.target.closest("[data-fills]");
    if (fills) {
      const field = document.getElementById(fills.dataset.fills);
      field.focus();
      field.value = document.getElementById(fills.dataset.from).content.textContent;
    }
    if (event.target.closest("[data-same-hours]")) {
      for (const input of document.querySelectorAll("[name^=monday_]")) {
        for (const day of ["tuesday", "wednesday", "thursday", "friday"]) {
          const other = document.getElementsByName(input.name.replace("monday", day))[0];
          if (other) other.value = input.value;
        }
      }
    }
  });

  // A refused form: to the first field that does not fit.
  const wrong = document.querySelector("[aria-invalid=true]");
  if (wrong) wrong.focus();
})();
