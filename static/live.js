// The live view: frames from the server are put into the page in order, without a gap and without doubles.
// The journal is the truth: after any trouble the page reconnects and says which entry it has last.
(() => {
  "use strict";
  const main = document.getElementById("main");
  const state = document.getElementById("live-state");
  if (!main || !state || !("WebSocket" in window)) return;

  const CAP = 300;            // rows kept in the journal
  const WATCHDOG_MS = 25000;  // the server pings every 10 s
  const ACK_EVERY = 8;
  const path = main.dataset.socket || "/ws/jobs/";
  const isJob = main.dataset.last !== undefined;
  let last = Number(main.dataset.last || 0);
  let socket = null, watchdog = 0, retry = 0, retryTimer = 0, received = 0, acked = 0, ackTimer = 0;

  // ---- connection -------------------------------------------------------------------------------------------

  function say(name, text, title) {
    state.hidden = false;
    state.dataset.state = name;
    state.firstElementChild.textContent = text;
    state.title = title || text;
  }

  function connect() {
    clearTimeout(retryTimer);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const opened = new WebSocket(`${scheme}//${location.host}${path}`);
    socket = opened;
    opened.onopen = () => {
      received = acked = 0;
      opened.send(JSON.stringify(isJob ? { after: last } : { page: main.dataset.page || "", query: main.dataset.query || "" }));
      feed();
    };
    opened.onmessage = (event) => { if (socket === opened) take(event.data); };
    opened.onclose = (event) => { if (socket === opened) lose(event.code); };
  }

  function feed() {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => drop("silent"), WATCHDOG_MS);
  }

  function drop() {
    const old = socket;
    socket = null;
    if (old) old.close();
    lose(0);
  }

  function lose(code) {
    clearTimeout(watchdog);
    socket = null;
    const wait = Math.min(15000, 400 * 2 ** retry) * (0.7 + Math.random() * 0.6);
    retry = Math.min(retry + 1, 8);
    if (retry > 1) say("lost", "Not connected", "Not connected. Trying again; nothing is lost, a reload shows the same.");
    if (code === 4401 || retry > 3) checkSignedIn();
    retryTimer = setTimeout(connect, wait);
  }

  // A refused handshake looks like any other failure; the page itself says whether the person is signed out.
  async function checkSignedIn() {
    try {
      const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" });
      if (answer.type === "opaqueredirect") say("lost", "Signed out", "You are signed out. Reload the page to sign in.");
    } catch { /* still away */ }
  }

  window.addEventListener("online", () => { if (!socket) { retry = 0; connect(); } });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !socket) { retry = 0; connect(); } });

  // ---- frames -----------------------------------------------------------------------------------------------

  function take(text) {
    feed();
    retry = 0;
    say("live", "Live", "Live: updates arrive by themselves");
    const frame = JSON.parse(text);
    if (frame.ping) return;
    received += 1;
    acknowledge();
    if (frame.to === undefined) { apply(frame.html, Infinity); return; }
    if (frame.reset) resetRows(frame.after);
    if (frame.after > last) { drop(); return; }     // a gap: come back from the last entry that is shown
    if (frame.to < last) return;                    // older than what is shown
    apply(frame.html, last);
    last = frame.to;
    main.dataset.last = String(last);
  }

  function acknowledge() {
    if (received - acked >= ACK_EVERY) return sendAck();
    clearTimeout(ackTimer);
    ackTimer = setTimeout(sendAck, 250);
  }

  function sendAck() {
    clearTimeout(ackTimer);
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ ack: received }));
    acked = received;
  }

  // What a page asks for again and again is put in place like what is pushed: focus and typing survive it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr } = event.detail;
    if (target.dataset.morph === undefined) return;
    event.detail.shouldSwap = false;
    if (xhr.status !== 200) return;               // the next question may be answered
    const box = document.createElement("template");
    box.innerHTML = xhr.responseText;
    for (const piece of box.content.children) {
      const ours = piece.dataset.morph !== undefined || piece.dataset.personal !== undefined;
      const shown = ours && document.getElementById(piece.id);
      if (shown) blend(shown, piece);
    }
    document.dispatchEvent(new Event("converge:changed"));
  });

  function apply(html, after) {
    const box = document.createElement("template");
    box.innerHTML = html;
    for (const piece of [...box.content.children]) {
      if (piece.dataset.rows) { addRows(piece, after); continue; }
      const shown = piece.id && document.getElementById(piece.id);
      if (shown) morph(shown, piece);
    }
    document.dispatchEvent(new Event("converge:changed"));
  }

  // ---- journal ----------------------------------------------------------------------------------------------

  const rows = document.getElementById("journal-rows");
  const scroller = document.getElementById("journal-scroll");
  const follow = document.getElementById("follow");
  let following = true, unseen = 0;

  function matches(row) {
    const wanted = rows.dataset;
    return (!wanted.kind || wanted.kind === row.dataset.kind)
      && (!wanted.agent || wanted.agent === row.dataset.agent)
      && (!wanted.key || wanted.key === row.dataset.key);
  }

  function addRows(piece, after) {
    if (!rows) return;
    const added = [...piece.children].filter((row) => Number(row.dataset.seq) > after && matches(row));
    if (!added.length) return;
    const stays = scroller ? following : window.innerHeight + window.scrollY > document.body.scrollHeight - 200;
    for (const row of added) row.classList.add("is-new");
    rows.append(...added);
    document.getElementById("journal-empty")?.setAttribute("hidden", "");
    if (stays) { trim(); toEnd(); } else { unseen += added.length; label(); }
  }

  function resetRows(after) {
    if (!rows) return;
    for (const row of rows.querySelectorAll(".entry")) row.remove();
    last = after;
    setOlder(after + 1);
  }

  function trim() {
    const entries = rows.querySelectorAll(".entry");
    const extra = entries.length - CAP;
    if (extra <= 0) return;
    for (let i = 0; i < extra; i += 1) entries[i].remove();
    setOlder(Number(entries[extra].dataset.seq));
  }

  function setOlder(before) {
    const older = document.getElementById("journal-older");
    const link = older && older.querySelector("a");
    if (!link || before <= 1) return;
    const url = new URL(link.href);
    url.searchParams.set("before", String(before));
    link.setAttribute("href", url.pathname + url.search);
    link.setAttribute("hx-get", url.pathname + url.search);
    older.hidden = false;
    if (window.htmx) htmx.process(older);
  }

  function toEnd() { if (scroller) scroller.scrollTop = scroller.scrollHeight; }

  function label() {
    if (!follow) return;
    follow.setAttribute("aria-pressed", String(following));
    follow.lastElementChild.textContent = following ? "Following" : unseen ? `${unseen} new` : "Paused";
  }

  function setFollowing(on) {
    following = on;
    if (on) { unseen = 0; trim(); toEnd(); }
    label();
  }

  if (follow && scroller && isJob) {
    follow.hidden = false;
    follow.addEventListener("click", () => setFollowing(!following));
    // Only a person's own scrolling pauses or resumes: a panel that grows beside the journal scrolls it too.
    let touched = 0;
    for (const gesture of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      scroller.addEventListener(gesture, () => { touched = Date.now(); }, { passive: true });
    }
    scroller.addEventListener("scroll", () => {
      const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
      if (atEnd === following || Date.now() - touched > 1000) return;
      following = atEnd;
      if (atEnd) unseen = 0;
      label();
    }, { passive: true });
    new ResizeObserver(() => { if (following) toEnd(); }).observe(scroller);
    if (location.hash.startsWith("#e") && document.getElementById(location.hash.slice(1))) setFollowing(false);
    else toEnd();
  }

  // ---- putting a fragment in place --------------------------------------------------------------------------
  // Only what differs is touched: what a person types, selects or has unfolded stays as it is.

  function morph(shown, wanted) {
    if (wanted.dataset && wanted.dataset.personal !== undefined) refreshPersonal(shown, wanted);
    else blend(shown, wanted);
  }

  function blend(shown, wanted) {
    if (shown.localName === "time" && shown.getAttribute("datetime") === wanted.getAttribute("datetime")) return;
    const theirs = shown.localName === "details" && shown.dataset.touched ? "open" : "";
    for (const { name, value } of [...wanted.attributes]) {
      if (name !== theirs && shown.getAttribute(name) !== value) shown.setAttribute(name, value);
    }
    for (const { name } of [...shown.attributes]) {
      if (name !== theirs && name !== "data-touched" && !wanted.hasAttribute(name)) shown.removeAttribute(name);
    }
    // What is gone goes first, so that what stays need not move: a moved field loses its focus.
    const stays = new Set([...wanted.children].map((child) => child.id));
    for (const child of [...shown.children]) if (child.id && !stays.has(child.id)) child.remove();
    const keyed = new Map();
    for (const child of shown.children) if (child.id) keyed.set(child.id, child);
    let place = shown.firstChild;
    for (const next of [...wanted.childNodes]) {
      let match = next.id && keyed.get(next.id);
      if (!match && place && !place.id && !next.id && alike(place, next)) match = place;
      if (!match) {
        shown.insertBefore(next, place);
        settle(next);
        continue;
      }
      while (place && place !== match && !(place.id && stays.has(place.id))) {
        const gone = place;
        place = place.nextSibling;
        gone.remove();
      }
      if (match !== place) shown.insertBefore(match, place);
      if (match.nodeType === Node.ELEMENT_NODE) morph(match, next);
      else if (match.data !== next.data) match.data = next.data;
      place = match.nextSibling;
    }
    while (place) { const gone = place; place = place.nextSibling; gone.remove(); }
  }

  // What a person folded or unfolded stays so.
  document.addEventListener("click", (event) => {
    const summary = event.target.closest("summary");
    if (summary) summary.parentElement.dataset.touched = "1";
  });

  function alike(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName;
  }

  function settle(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (window.htmx) htmx.process(node);
    const personal = node.matches("[data-personal]") ? [node] : node.querySelectorAll("[data-personal]");
    for (const element of personal) fetchPersonal(element);
  }

  // A person's own part of a panel: asked for again only when it must be another.
  function refreshPersonal(shown, wanted) {
    if (shown.dataset.rev !== wanted.dataset.rev) { shown.dataset.rev = wanted.dataset.rev; fetchPersonal(shown); }
  }

  async function fetchPersonal(element) {
    const asked = element.dataset.rev;
    try {
      const answer = await fetch(element.dataset.personal, { headers: { "HX-Request": "true" } });
      if (!answer.ok || element.dataset.rev !== asked || !element.isConnected) return;
      const box = document.createElement("template");
      box.innerHTML = await answer.text();
      const fresh = box.content.firstElementChild;
      for (const old of element.querySelectorAll("input[id], textarea[id]")) {
        const field = fresh.querySelector(`#${CSS.escape(old.id)}`);
        if (field && old.value !== old.defaultValue && field.value === field.defaultValue) field.value = old.value;
      }
      for (const old of element.querySelectorAll("details[id][open]")) {
        fresh.querySelector(`#${CSS.escape(old.id)}`)?.setAttribute("open", "");
      }
      const focused = element.contains(document.activeElement) && document.activeElement.id;
      element.replaceWith(fresh);
      if (focused) document.getElementById(focused)?.focus();
      if (window.htmx) htmx.process(fresh);
      document.dispatchEvent(new Event("converge:changed"));
    } catch { /* the next change asks again */ }
  }

  connect();
})();
