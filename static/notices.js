// What happens beside the page that is looked at: the bell's count and the toasts.
// The live view only says that there is something new (#notice-hint); each page asks for its own person's part.
(() => {
  "use strict";
  const hint = document.getElementById("notice-hint");
  const region = document.getElementById("toasts");
  if (!hint || !region) return;

  const MOST = 3;
  const STAYS_MS = 12000;
  const EVERY_MS = 4000;      // a burst is told in a few sentences, and asked for a few times
  const RETRY_MS = 15000;
  const TICK_MS = 250;
  const list = region.querySelector("ol");
  const shown = new Set();    // what was told since the list was last empty
  let cursor = Number(hint.dataset.newest), since = cursor, notBefore = 0, timer = 0, asking = false, clock = 0;

  // ---- asking -----------------------------------------------------------------------------------------------

  function look() {
    if (document.hidden || asking || timer || Number(hint.dataset.newest) <= cursor) return;
    // Not all pages at the same moment.
    timer = setTimeout(ask, Math.max(0, notBefore - Date.now()) + Math.random() * 300);
  }

  async function ask() {
    timer = 0;
    asking = true;
    notBefore = Date.now() + EVERY_MS;
    try {
      // From the oldest toast on: what becomes too much to show one by one is summed up in its place.
      if (!list.children.length) { since = cursor; shown.clear(); }
      const query = new URLSearchParams({ after: String(since), at: location.pathname });
      const answer = await fetch(`${region.dataset.news}?${query}`, { headers: { "HX-Request": "true" } });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      take(await answer.text());
    } catch {
      notBefore = Date.now() + RETRY_MS;
    }
    asking = false;
    look();
  }

  function take(text) {
    const box = document.createElement("template");
    box.innerHTML = text;
    const news = box.content.querySelector("[data-newest]");
    cursor = Math.max(cursor, Number(news.dataset.newest));
    ring(news.querySelector("#notice-bell"));
    const toasts = [...news.querySelectorAll(".toast")];
    if (toasts.some((toast) => toast.dataset.sum)) replaceAll(toasts);
    else for (const toast of toasts) if (!shown.has(toast.dataset.id)) show(toast);
    document.dispatchEvent(new Event("converge:notices"));
    document.dispatchEvent(new Event("converge:changed"));
  }

  // Only what is told changes: who stands on the link stays there.
  function ring(fresh) {
    const bell = document.getElementById("notice-bell");
    if (!bell || !fresh) return;
    bell.title = fresh.title;
    bell.querySelector("#notice-count").replaceWith(fresh.querySelector("#notice-count"));
  }

  document.addEventListener("converge:changed", look);
  document.addEventListener("visibilitychange", look);

  // ---- toasts -----------------------------------------------------------------------------------------------

  function replaceAll(toasts) {
    const before = [...list.children].map((old) => old.textContent).join();
    if (before === toasts.map((toast) => toast.textContent).join()) return;
    for (const old of [...list.children]) if (!isHeld(old)) old.remove();
    toasts.forEach(show);
  }

  function show(toast) {
    shown.add(toast.dataset.id);
    toast.left = STAYS_MS;
    list.append(toast);
    while (list.children.length > MOST) dismiss([...list.children].find((old) => !isHeld(old)) || list.firstElementChild);
    if (!clock) clock = setInterval(tick, TICK_MS);
  }

  function isHeld(toast) { return toast.contains(document.activeElement); }

  function tick() {
    if (document.hidden || region.matches(":hover") || region.contains(document.activeElement)) return;
    for (const toast of [...list.children]) {
      toast.left -= TICK_MS;
      if (toast.left <= 0) dismiss(toast);
    }
  }

  function dismiss(toast) {
    const held = isHeld(toast);
    const next = toast.nextElementSibling || toast.previousElementSibling;
    toast.remove();
    if (held) (next ? next.querySelector("button") : document.getElementById("main")).focus({ preventScroll: true });
    if (!list.children.length) { clearInterval(clock); clock = 0; }
  }

  region.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) dismiss(button.closest(".toast"));
  });
  region.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    dismiss(event.target.closest(".toast"));
  });

  // ---- the list of notices says that it was seen, once somebody looks at it -----------------------------------

  function tellSeen() {
    const form = document.getElementById("mark-seen");
    if (!form || document.hidden || !window.htmx || form.dataset.told === form.elements.upto.value) return;
    form.dataset.told = form.elements.upto.value;
    htmx.trigger(form, "notices:shown");
  }
  window.addEventListener("load", tellSeen);
  document.addEventListener("visibilitychange", tellSeen);
  document.addEventListener("converge:changed", tellSeen);
})();
