// The keyboard, for those who like it: ? lists the keys. Nothing here is needed to use a page, and a person can switch
// the single letters off. What is focused is always a link or a field, never a row: it is read out as such, Enter opens
// it as anywhere, and it survives a push, which changes what is in a row and leaves its link in place.
(() => {
  "use strict";
  const OFF = "converge.keys.off";
  const SEQUENCE_MS = 1500;
  const sheet = document.getElementById("keys");
  const main = document.getElementById("main");
  // What can be walked through, in the order in which a page shows it: rows, and the link that opens one.
  const LISTS = [
    ["#job-list tbody > tr", "a.title"],
    ["#inbox-list .conflict, #panel-conflicts .conflict", "h3 a"],
    [".notices > li", "a.title"],
    [".rules-table tbody > tr", "a.title"],
    ["#tool-list tbody > tr, #runtimes tbody > tr, #runtimes .bulk-sample > li", "a.title"],
    [".packs-pick > .pack-card", "h2 a"],
    ["#main > .panel .facts tbody > tr", ".c-subject a"],
    ["#journal-rows > .entry", ".at a"],
  ];
  let pending = 0;      // a `g` waits for its letter until then
  let walked = null;    // where somebody is: which list, and the row's id and place in it

  // ---- lists ------------------------------------------------------------------------------------------------

  function readLists() {
    return LISTS.map(([rows, link]) => ({
      link,
      rows: [...document.querySelectorAll(rows)].filter((row) => row.querySelector(link)?.getClientRects().length),
    })).filter((list) => list.rows.length);
  }

  function find(lists) {
    const at = document.activeElement;
    for (const [i, list] of lists.entries()) {
      const place = list.rows.findIndex((row) => row.contains(at));
      if (place >= 0) return { i, place };
    }
    return null;
  }

  function isInSight(row) {
    const box = row.getBoundingClientRect();
    const frame = row.closest("#journal-scroll")?.getBoundingClientRect();
    const top = Math.max(frame ? frame.top : 0, 0), bottom = Math.min(frame ? frame.bottom : Infinity, innerHeight);
    return box.top >= top - 1 && box.top < bottom - 8;
  }

  // Where a walk through a list begins: at what is seen of it.
  function enter(list, step) {
    const seen = list.rows.filter(isInSight);
    return (step > 0 ? seen[0] : seen[seen.length - 1]) || list.rows[step > 0 ? 0 : list.rows.length - 1];
  }

  function walk(step) {
    const lists = readLists();
    if (!lists.length) return false;
    const here = find(lists);
    if (!here) {
      const list = lists.find(({ rows }) => rows.some(isInSight)) || lists[0];
      return show(list, enter(list, step));
    }
    const list = lists[here.i], next = lists[here.i + step];
    const row = list.rows[here.place + step];
    if (row) return show(list, row);
    return next ? show(next, enter(next, step)) : true;
  }

  function show(list, row) {
    // A journal that follows its end would carry the row away.
    if (row.classList.contains("entry")) document.querySelector("#follow[aria-pressed=true]:not([hidden])")?.click();
    row.querySelector(list.link).focus({ preventScroll: true });
    row.scrollIntoView({ block: row.offsetHeight > innerHeight * 0.7 ? "start" : "nearest" });
    walked = { link: list.link, id: row.id, place: list.rows.indexOf(row) };
    return true;
  }

  // A push that took the row away, or moved it, took the focus along: it goes to the row, or to what is there now.
  function stay() {
    if (!walked || document.activeElement !== document.body || sheet?.open) return;
    const list = readLists().find(({ link }) => link === walked.link);
    if (!list) return;
    const row = document.getElementById(walked.id) || list.rows[Math.min(walked.place, list.rows.length - 1)];
    row.querySelector(list.link)?.focus({ preventScroll: true });
  }
  document.addEventListener("converge:changed", stay);
  document.addEventListener("htmx:afterSettle", stay);
  document.addEventListener("pointerdown", () => { walked = null; });

  function open() {
    const lists = readLists(), here = find(lists);
    if (!here) return false;
    lists[here.i].rows[here.place].querySelector(lists[here.i].link).click();
    return true;
  }

  // ---- deciding ---------------------------------------------------------------------------------------------

  // The form a person is at: in the row they stand on, or the only one of the page.
  function findDecision() {
    const row = document.activeElement.closest?.(".conflict");
    const forms = [...(row || main).querySelectorAll("form .choices")].map((choices) => choices.closest("form"));
    return forms.length === 1 ? forms[0] : null;
  }

  function choose(number) {
    const form = findDecision();
    const choice = form?.querySelectorAll(".choice")[number - 1];
    if (!choice) return false;
    choice.querySelector("input[type=radio]").click();
    (choice.querySelector("input[type=text]") || choice.querySelector("input")).focus();
    return true;
  }

  function confirm() {
    const form = document.activeElement.closest?.("form") || findDecision();
    const button = form?.method === "post" && form.querySelector("button.primary");
    if (!button || button.disabled) return false;
    form.requestSubmit(button);
    return true;
  }

  // ---- keys -------------------------------------------------------------------------------------------------

  function search() {
    const field = main.querySelector("[role=search] input[type=search]")
      || main.querySelector("[role=search] :is(input:not([type=hidden]), select)");
    if (!field) return false;
    field.focus();
    field.select?.();
    return true;
  }

  function help() {
    if (!sheet) return false;
    if (sheet.open) sheet.close(); else sheet.showModal();
    return true;
  }

  function go(letter) {
    const link = (sheet || document).querySelector(`a[data-go="${CSS.escape(letter)}"]`);
    if (link) location.assign(link.href);
    return Boolean(link);
  }

  function close() {
    const folded = document.activeElement.closest?.("details.more-action[open]") || document.querySelector("details.more-action[open]");
    if (!folded) return false;
    folded.open = false;
    folded.querySelector("summary").focus();
    return true;
  }

  const KEYS = { "?": help, "/": search, j: () => walk(1), k: () => walk(-1), o: open };

  function isTyping(element) {
    if (element.isContentEditable || element.closest("[role=textbox], [role=combobox], [role=slider]")) return true;
    if (element.localName === "input") return !["radio", "checkbox", "button", "submit"].includes(element.type);
    return element.localName === "textarea" || element.localName === "select";
  }

  function isOff() {
    try { return localStorage.getItem(OFF) === "1"; } catch { return false; }
  }

  function act(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) return !event.repeat && confirm();
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "Escape") { pending = 0; return !sheet?.open && close(); }
    if (isTyping(event.target) || isOff()) return false;
    if (sheet?.open && event.key !== "?") return false;
    const key = event.key;
    if (pending > event.timeStamp) { pending = 0; return go(key); }
    if (key === "g" && !event.repeat) { pending = event.timeStamp + SEQUENCE_MS; return true; }
    if (/^[1-9]$/.test(key)) return choose(Number(key));
    return Object.hasOwn(KEYS, key) && KEYS[key]();
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || !(event.target instanceof Element)) return;
    if (["Shift", "Control", "Alt", "Meta", "CapsLock", "AltGraph"].includes(event.key)) return;
    if (act(event)) event.preventDefault();
  });

  // ---- the sheet --------------------------------------------------------------------------------------------

  document.getElementById("keys-link")?.addEventListener("click", (event) => {
    if (sheet && !event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); help(); }
  });
  sheet?.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
  for (const tick of document.querySelectorAll("[data-keys-tick]")) {
    tick.closest("[hidden]")?.removeAttribute("hidden");
    tick.checked = !isOff();
    tick.addEventListener("change", () => {
      try { localStorage.setItem(OFF, tick.checked ? "" : "1"); } catch { /* for this page, then */ }
    });
  }
})();
