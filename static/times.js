// Times as people say them, in the viewer's zone, with the exact moment on hover. Without this script a page shows UTC.
// It runs before the page is painted and sees whatever is put in place later: no time is ever seen in another form.
(() => {
  "use strict";
  const TICK_MS = 10000;
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
  const dated = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

  // A time of day: with seconds when it is near, with the day when it is not today.
  function tellClock(moment) {
    const near = Math.abs(moment - Date.now()) < 120000;
    const days = Math.round((new Date(moment).setHours(0, 0, 0, 0) - new Date().setHours(0, 0, 0, 0)) / 86400000);
    const day = days === 0 ? "" : days === 1 ? "tomorrow " : days === -1 ? "yesterday " : `${dated.format(moment)}, `;
    return day + moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: near ? "2-digit" : undefined, hour12: false });
  }

  function tellDistance(moment) {
    const seconds = (moment - Date.now()) / 1000;
    if (Math.abs(seconds) < 5) return "just now";
    const [unit, size] = units.find(([, s]) => Math.abs(seconds) >= s) || units[3];
    if (unit === "day" && Math.abs(seconds) > 14 * 86400) return dated.format(moment);
    return relative.format(Math.round(seconds / size), unit);
  }

  function tell(time) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf())) return;
    const text = time.dataset.clock !== undefined ? tellClock(moment) : tellDistance(moment);
    const title = `${exact.format(moment)} (${moment.toISOString().slice(0, 19).replace("T", " ")} UTC)`;
    if (time.textContent !== text) time.textContent = text;
    if (time.title !== title) time.title = title;
  }

  function tellAll() { if (!document.hidden) document.querySelectorAll("time[datetime]").forEach(tell); }

  // Observers are told before the next paint, of what the parser adds as of what is pushed.
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes" || target.localName === "time") { if (target.localName === "time") tell(target); continue; }
      for (const node of addedNodes) {
        if (node.localName === "time") tell(node);
        else if (node.firstElementChild) node.querySelectorAll("time[datetime]").forEach(tell);
      }
    }
  }).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["datetime", "title"] });
  setInterval(tellAll, TICK_MS);
  document.addEventListener("visibilitychange", tellAll);
})();
