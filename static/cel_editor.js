// The editor of a CEL expression: what is wrong with it is told while somebody types, and examples are inserted at the
// cursor. Without this the form says the same when it is sent.
(() => {
  "use strict";
  const WAIT = 350; // milliseconds without a key

  function begin(editor) {
    const text = editor.querySelector("textarea");
    const said = editor.querySelector("[data-cel-said]");
    const form = text.form;
    const field = (name) => form.elements.namedItem(name);
    let timer = 0;
    let asked = null;

    const kindOf = () => field("kind")?.value || editor.dataset.kind;
    const packOf = () => field("pack")?.value || editor.dataset.pack;

    function showHelp() {
      for (const help of editor.querySelectorAll("[data-cel-kind]")) help.hidden = help.dataset.celKind !== kindOf();
    }

    function line(tag, className, words) {
      const element = document.createElement(tag);
      if (className) element.className = className;
      element.textContent = words;
      return element;
    }

    function tell(answer) {
      said.dataset.state = answer.ok ? "good" : "bad";
      said.replaceChildren(line("p", "", answer.ok ? "This compiles." : answer.message));
      if (!answer.ok) text.setAttribute("aria-invalid", "true");
      else text.removeAttribute("aria-invalid");
      if (answer.ok || !answer.caret) return;
      const drawn = line("pre", "", `${answer.excerpt}\n${answer.caret}`);
      drawn.setAttribute("aria-hidden", "true");
      said.append(drawn, line("p", "cel-place", `line ${answer.line}, column ${answer.column}`));
    }

    function clear() {
      delete said.dataset.state;
      said.replaceChildren();
      text.removeAttribute("aria-invalid");
    }

    async function check() {
      asked?.abort();
      if (!text.value.trim() && !["constraint", "invariant"].includes(kindOf())) { clear(); return; }
      if (!packOf() || !kindOf()) { clear(); return; }
      asked = new AbortController();
      const sent = new URLSearchParams({ kind: kindOf(), pack: packOf(), expression: text.value });
      try {
        const answer = await fetch(editor.dataset.check, {
          method: "POST",
          body: sent,
          headers: { "X-CSRFToken": field("csrfmiddlewaretoken").value },
          signal: asked.signal,
        });
        tell(await answer.json());
      } catch (error) {
        if (error.name !== "AbortError") clear(); // the form says it when it is sent
      }
    }

    function soon() {
      clearTimeout(timer);
      timer = setTimeout(check, WAIT);
    }

    text.addEventListener("input", soon);
    form.addEventListener("change", (event) => {
      if (event.target === field("kind") || event.target === field("pack")) { showHelp(); soon(); }
    });
    editor.addEventListener("click", (event) => {
      const example = event.target.closest("[data-cel-insert]");
      if (!example) return;
      text.setRangeText(example.dataset.celInsert, text.selectionStart, text.selectionEnd, "end");
      text.focus();
      soon();
    });
    showHelp();
  }

  function beginAll() { document.querySelectorAll("[data-cel]").forEach(begin); }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", beginAll);
  else beginAll();
})();
