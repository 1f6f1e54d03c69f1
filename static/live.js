// The live view: frames from the server are put into the page in order, without a gap and without doubles.
// The journal is the truth: after any trouble the page reconnects and says which entry it has last.
(() => {
  "use strict";
  const main = document.getElementById("main");
  const state = document.getElementById("live-state");
  if (!main || !state || !("WebSocket" in window)) return;

  const CAP = 300;            // rows kept in the journal while it is followed
  const PAUSED_CAP = 1000;    // and while somebody reads further up
  const WATCHDOG_MS = 25000;  // the server pings every 10 s
  const ANSWER_MS = 4000;     // for the answer to our own ping
  const CALM_MS = 500;        // between two arrivals that are pointed out
  const ACK_EVERY = 8, ACK_CHARS = 65536;
  const path = main.dataset.socket || "/ws/jobs/";
  const isJob = main.dataset.last !== undefined;
  let last = Number(main.dataset.last || 0);
  let socket = null, watchdog = 0, retryTimer = 0, received = 0, acked = 0, unacked = 0, ackTimer = 0;
  let retry = 0;              // times in a row that no line came about
  let faults = 0, since = 0;  // how often the server found fault lately, and when this line was opened
  let away = false;           // the page is put away, and may come back as it was
  let afresh = false;         // the next rows take the place of those shown

  // ---- connection -------------------------------------------------------------------------------------------

  const STATES = {
    live: ["Live", "Live: updates arrive by themselves"],
    late: ["Delayed", "Connected, but the server cannot see what is new just now. It tries again."],
    again: ["Reconnecting", "The line was lost. Connecting again; nothing is missed."],
    lost: ["Not connected", "Not connected. Trying again; nothing is lost, a reload shows the same."],
    out: ["Signed out", "You are signed out. Reload the page to sign in."],
  };

  function say(name) {
    if (state.dataset.state === name) return;
    const [text, title] = STATES[name];
    state.hidden = false;
    state.dataset.state = name;
    state.firstElementChild.textContent = text;
    state.title = title;
  }

  function connect() {
    clearTimeout(retryTimer);
    if (away || socket) return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const opened = new WebSocket(`${scheme}//${location.host}${path}`);
    socket = opened;
    feed(WATCHDOG_MS);        // a handshake may hang as well
    opened.onopen = () => {
      if (socket !== opened) return;
      received = acked = unacked = 0;
      since = Date.now();
      opened.send(JSON.stringify(isJob ? { after: afresh ? 0 : last } : { page: main.dataset.page || "", query: main.dataset.query || "" }));
      feed(WATCHDOG_MS);
    };
    opened.onmessage = (event) => { if (socket === opened) take(event.data); };
    opened.onclose = (event) => { if (socket === opened) lose(event.code); };
  }

  function feed(milliseconds) {
    clearTimeout(watchdog);
    watchdog = setTimeout(drop, milliseconds);
  }

  // Gives up this line, whatever has become of it: closing a dead one tells nobody for a long time.
  function drop() {
    const old = socket;
    if (!old) return;
    socket = null;
    old.close();
    lose(0);
  }

  function lose(code) {
    clearTimeout(watchdog);
    clearTimeout(ackTimer);
    clearTimeout(retryTimer);
    socket = null;
    // Where the server finds fault with us or with itself, another try soon would end alike, however well it begins.
    if (Date.now() - since > 10000) faults = 0;
    if (code === 4400 || code === 4408 || code === 1011) faults += 1;
    const wait = Math.min(15000, 400 * 2 ** Math.max(retry, faults)) * (0.7 + Math.random() * 0.6);
    retry = Math.min(retry + 1, 8);
    if (state.dataset.state !== "out") say(retry > 1 ? "lost" : "again");
    if (code === 4401 || retry > 2) checkSignedIn();
    retryTimer = setTimeout(connect, wait);
  }

  // A refused handshake looks like any other failure; the page itself says whether the person is signed out.
  async function checkSignedIn() {
    try {
      const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" });
      if (socket && socket.readyState === WebSocket.OPEN) return;
      if (answer.type === "opaqueredirect") say("out");
      else if (state.dataset.state === "out") say("lost");
    } catch { /* still away */ }
  }

  // After a sleep, another network or a time in the background the line may be dead, and nobody has noticed.
  function doubt() {
    if (away) return;
    if (!socket) { retry = 0; connect(); return; }
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send('{"ping":1}');
    feed(ANSWER_MS);
  }

  window.addEventListener("online", doubt);
  window.addEventListener("offline", doubt);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) doubt(); });
  // A page that is kept for the back button must hold no socket; when it comes back it goes on from its last entry.
  window.addEventListener("pagehide", () => {
    away = true;
    const old = socket;
    socket = null;
    for (const timer of [watchdog, retryTimer, ackTimer]) clearTimeout(timer);
    if (old) old.close(1000);
  });
  window.addEventListener("pageshow", (event) => {
    away = false;
    if (event.persisted) { say("again"); doubt(); }
  });

  // ---- frames -----------------------------------------------------------------------------------------------

  function take(text) {
    feed(WATCHDOG_MS);
    retry = 0;
    const frame = JSON.parse(text);
    say(frame.late ? "late" : "live");
    if (frame.ping) return;
    received += 1;
    unacked += text.length;
    acknowledge();
    try {
      show(frame);
    } catch (error) {
      console.error(error);
      faults += 1;
      drop();
    }
  }

  function show(frame) {
    if (frame.to === undefined) { apply(frame.html, Infinity); return; }
    if (frame.reset || afresh) resetRows(frame.after);
    if (frame.after > last) { drop(); return; }     // a gap: come back from the last entry that is shown
    if (frame.to < last) return;                    // older than what is shown
    apply(frame.html, last);
    last = frame.to;
    main.dataset.last = String(last);
  }

  function acknowledge() {
    // By size too: the timers of a page in the background sleep for a minute.
    if (received - acked >= ACK_EVERY || unacked >= ACK_CHARS) { sendAck(); return; }
    clearTimeout(ackTimer);
    ackTimer = setTimeout(sendAck, 250);
  }

  function sendAck() {
    clearTimeout(ackTimer);
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ ack: received }));
    acked = received;
    unacked = 0;
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
  let following = true, unseen = 0, arrived = 0, scrolling = 0;
  let full = false;           // somebody reads further up, and no more rows are kept than were

  function matches(row) {
    const wanted = rows.dataset;
    return (!wanted.kind || wanted.kind === row.dataset.kind)
      && (!wanted.agent || wanted.agent === row.dataset.agent)
      && (!wanted.key || wanted.key === row.dataset.key)
      && (!wanted.outcome || wanted.outcome === row.dataset.outcome);
  }

  function addRows(piece, after) {
    if (!rows) return;
    const added = [...piece.children].filter((row) => Number(row.dataset.seq) > after && matches(row));
    if (!added.length) return;
    const stays = atEnd();
    full ||= !stays && rows.childElementCount + added.length > PAUSED_CAP;
    // Where much arrives nothing stands out, and a hundred animations would be painted at once.
    const calm = Date.now() - arrived > CALM_MS;
    arrived = Date.now();
    if (!full) {
      if (calm) for (const row of added) row.classList.add("is-new");
      rows.append(...added);
      document.getElementById("journal-empty")?.setAttribute("hidden", "");
    }
    if (stays) { trim(); toEnd(); } else { unseen += added.length; label(); }
  }

  function atEnd() {
    return scroller ? following : window.innerHeight + window.scrollY > document.body.scrollHeight - 200;
  }

  // Back at the end: what was not kept is asked for, in place of what is shown.
  function refill() {
    if (!full || afresh) return;
    afresh = true;
    drop();
    retry = 0;
    connect();
  }

  // Too much was missed to be sent. Who reads further up keeps the place, and gets the newest rows on going back.
  function resetRows(after) {
    last = after;
    if (!rows) return;
    full = !afresh && !atEnd();
    if (full) return;
    afresh = false;
    for (const row of rows.querySelectorAll(".entry")) row.remove();
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
    if (!link) return;
    older.hidden = before <= 1;
    const url = new URL(link.href);
    url.searchParams.set("before", String(before));
    link.setAttribute("href", url.pathname + url.search);
    link.setAttribute("hx-get", url.pathname + url.search);
    if (window.htmx) htmx.process(older);
  }

  // Once a paint: to ask for a height lays the page out.
  function toEnd() {
    if (!scroller || scrolling) return;
    scrolling = requestAnimationFrame(() => {
      scrolling = 0;
      if (following) scroller.scrollTop = scroller.scrollHeight;
    });
  }

  function label() {
    if (!follow) return;
    follow.setAttribute("aria-pressed", String(following));
    follow.lastElementChild.textContent = following ? "Following" : unseen ? `${unseen} new` : "Paused";
  }

  function setFollowing(on) {
    following = on;
    if (on) { unseen = 0; refill(); trim(); toEnd(); }
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
      const atBottom = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
      if (atBottom === following || Date.now() - touched > 1000) return;
      setFollowing(atBottom);
    }, { passive: true });
    new ResizeObserver(() => { if (following) toEnd(); }).observe(scroller);
    if (location.hash.startsWith("#e") && document.getElementById(location.hash.slice(1))) setFollowing(false);
    else toEnd();
  } else if (rows && isJob) {
    window.addEventListener("scroll", () => { if (atEnd()) refill(); }, { passive: true });
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

  async function fetchPersonal(element, wait = 2000) {
    const asked = element.dataset.rev;
    try {
      const answer = await fetch(element.dataset.personal, { headers: { "HX-Request": "true" }, redirect: "error" });
      if (answer.status >= 500) throw new Error(String(answer.status));
      if (!answer.ok || element.dataset.rev !== asked || !element.isConnected) return;
      const box = document.createElement("template");
      box.innerHTML = await answer.text();
      const fresh = box.content.firstElementChild;
      if (!fresh) return;
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
    } catch {
      // The server was away: a form that is missing would be missing until a reload.
      setTimeout(() => {
        if (element.isConnected && element.dataset.rev === asked) fetchPersonal(element, Math.min(30000, wait * 2));
      }, wait);
    }
  }

  connect();
})();
