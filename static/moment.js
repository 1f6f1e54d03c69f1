// Time travel: the slider of a job's page. Without this file it is a form with a button; with it, dragging is enough.
// From the present the first move loads the page of that moment, which listens to nothing but the present's cycle; from
// then on only the panels are fetched, and Back goes through the moments that were looked at.
(() => {
  "use strict";
  const main = document.getElementById("main");
  const form = document.getElementById("moment-form");
  const slider = document.getElementById("moment-slider");
  if (!main || !form || !slider) return;
  const go = document.getElementById("moment-go");
  const output = slider.parentElement.querySelector("output");
  const HELD = "converge.moment.focus";
  let shown = location.search;    // the moment, as the address has it
  const isPast = () => main.dataset.moment !== undefined;

  go.hidden = true;
  // What is pushed is the panel as the server writes it, button and all.
  document.addEventListener("converge:changed", () => { go.hidden = true; });
  endJournal();
  keepFocus();

  function address(cycle) {
    const query = new URLSearchParams(new FormData(form));
    query.set("cycle", cycle);
    return `${form.getAttribute("action")}?${query}`;
  }

  function tell() {
    output.value = slider.value;
    slider.setAttribute("value", slider.value);
    slider.setAttribute("aria-valuetext", `cycle ${slider.value} of ${slider.max}`);
  }

  // While a pointer drags, the newest place is fetched as soon as the one before has come (see hx-sync).
  slider.addEventListener("input", () => {
    tell();
    if (isPast()) show(slider.value);
  });
  slider.addEventListener("change", () => {
    if (!isPast()) { hold(slider.id); location.assign(address(slider.value)); return; }
    remember(slider.value);
  });

  function show(cycle) {
    main.dataset.moment = cycle;
    htmx.trigger(form, "moment");
  }

  function remember(cycle) {
    if (history.state?.cycle === cycle) return;
    history.pushState({ cycle }, "", address(cycle));
    shown = location.search;
  }

  // The buttons beside the slider do what the slider does, so that the keyboard keeps its place.
  document.addEventListener("click", (event) => {
    const step = event.target.closest?.("[data-cycle]");
    if (!step || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    hold(step.id);
    if (!isPast()) return;
    event.preventDefault();
    slider.value = step.dataset.cycle;
    tell();
    show(slider.value);
    remember(slider.value);
  });

  function hold(id) {
    try { sessionStorage.setItem(HELD, id); } catch { /* then the focus starts anew */ }
  }

  function keepFocus() {
    let id = "";
    try { id = sessionStorage.getItem(HELD) || ""; sessionStorage.removeItem(HELD); } catch { /* no store */ }
    if (!id) return;
    // At the first or the last cycle the button is gone that led there.
    (document.getElementById(id) || slider).focus({ preventScroll: true });
  }

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id !== "job-panels") return;
    endJournal();
    keepFocus();
    document.dispatchEvent(new Event("converge:changed"));
  });

  // The newest entry of a moment is at the end, as it is in the present.
  function endJournal() {
    const scroller = document.getElementById("journal-scroll");
    if (scroller && isPast()) scroller.scrollTop = scroller.scrollHeight;
  }

  // Going to a place within the page is told the same way, and is no other moment.
  window.addEventListener("popstate", () => { if (location.search !== shown) location.reload(); });
})();
