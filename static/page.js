// Small comforts of every page: relative times, one send a form, copying. Nothing here is needed to use a page.
(() => {
  "use strict";
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const dated = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

  // A time of day: with seconds when it is near, with the day when it is not today.
  function tellClock(time, moment) {
    const near = Math.abs(moment - Date.now()) < 120000;
    const days = Math.round((new Date(moment).setHours(0, 0, 0, 0) - new Date().setHours(0, 0, 0, 0)) / 86400000);
    const day = days === 0 ? "" : days === 1 ? "tomorrow " : days === -1 ? "yesterday " : `${dated.format(moment)}, `;
    const text = day + moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: near ? "2-digit" : undefined, hour12: false });
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = exact.format(moment);
  }

  function tell(time) {
    const moment = new Date(time.dateTime);
    if (time.dataset.clock !== undefined) { tellClock(time, moment); return; }
    const seconds = (moment - Date.now()) / 1000;
    const [unit, size] = units.find(([, s]) => Math.abs(seconds) >= s) || units[3];
    const text = Math.abs(seconds) < 5 ? "just now"
      : unit === "day" && Math.abs(seconds) > 14 * 86400 ? dated.format(moment)
      : relative.format(Math.round(seconds / size), unit);
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = exact.format(moment);
  }

  function tellAll() { document.querySelectorAll("time[datetime]").forEach(tell); }
  tellAll();
  setInterval(tellAll, 10000);
  document.addEventListener("converge:changed", tellAll);
  document.addEventListener("htmx:afterSwap", tellAll);

  // A form is sent once. The server would take a second send for the same receipt anyway.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    if (!form.hasAttribute("hx-post")) form.dataset.sent = "1";
    // After this event, so that the button's own name and value are still sent.
    setTimeout(() => { for (const button of form.querySelectorAll("button")) button.disabled = true; });
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("button")) button.disabled = false;
    }
  });
  function release(event) {
    const form = event.target.closest?.("form");
    if (form) for (const button of form.querySelectorAll("button")) button.disabled = false;
  }
  document.addEventListener("htmx:sendError", release);
  document.addEventListener("htmx:responseError", release);

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const label = button.querySelector("span");
    const before = label.textContent;
    try {
      const text = await (await fetch(button.dataset.copy)).text();
      await navigator.clipboard.writeText(text);
      label.textContent = "Copied";
    } catch {
      label.textContent = "Not copied";
    }
    setTimeout(() => { label.textContent = before; }, 1600);
  });

  for (const select of document.querySelectorAll("form[data-auto] select")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
})();
