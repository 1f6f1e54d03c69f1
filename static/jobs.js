// The list of jobs: how many rows are ticked, and one box that ticks the whole page. Without it the form works as it is.
(() => {
  "use strict";
  const bulk = document.getElementById("bulk");
  if (!bulk) return;
  const said = bulk.querySelector(".ticked");
  const all = bulk.querySelector("[name=all]");
  const every = document.getElementById("tick-page");
  const buttons = bulk.querySelectorAll("button");
  const boxes = () => [...document.querySelectorAll("#job-list .c-tick input")];

  function tell() {
    const shown = boxes();
    const ticked = shown.filter((box) => box.checked).length;
    const words = all.checked ? "all that match" : ticked ? `${ticked} ticked` : said.dataset.none;
    if (said.textContent !== words) said.textContent = words;
    every.checked = shown.length > 0 && ticked === shown.length;
    every.indeterminate = ticked > 0 && ticked < shown.length;
    for (const button of buttons) button.disabled = !all.checked && !ticked;
  }

  every.addEventListener("change", () => { for (const box of boxes()) box.checked = every.checked; });
  every.closest("label").hidden = false;
  document.addEventListener("change", tell);
  document.addEventListener("converge:changed", tell);
  window.addEventListener("pageshow", tell);
  tell();
})();
