// The body chart beside the rows of places. It holds nothing of its own: what is marked on it is
// read from the rows, and pressing a place fills in a row, as typing would.
"use strict";
(() => {
  const form = document.getElementById("entry");
  if (!form) return;
  const all = (selector, scope = form) => [...scope.querySelectorAll(selector)];
  const one = (selector, scope = form) => scope.querySelector(selector);

  // "Copy from last time" by one key, wherever one is but in a text.
  document.addEventListener("keydown", (event) => {
    const button = document.querySelector("[data-copy]");
    if (!button || event.code !== "KeyL" || document.documentElement.dataset.shortcuts === "off") return;
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target.closest("textarea, select, dialog, input:not([type=radio], [type=checkbox])")) return;
    event.preventDefault();
    button.click();
  });

  const send = (target, name, detail) =>
    target.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));

  function chartOf(chart) {
    const group = chart.closest("[data-group]");
    const said = one("[data-chart-said]", chart);
    const spots = all(".spot", chart);

    // A row as the chart sees it: its place, its side, and whatever else it holds.
    function rows() {
      return all("[data-row]", group).map((row) => {
        const [place, side, ...others] = all("[data-item]", row);
        const chosen = all("input", one(".answer", side)).find((input) => input.checked);
        return {
          row,
          place,
          side,
          site: one("input", one(".answer", place)).value.trim().toUpperCase(),
          on: chosen ? chosen.value : "",
          more: others.some((box) => one(".answer input, .answer textarea", box).value.trim()),
        };
      });
    }

    const covers = (on, side) => on === side || (on === "bilateral" && side !== "midline");

    function draw() {
      const now = rows();
      spots.forEach((spot) => {
        const mine = now.filter((each) => each.site === spot.dataset.site.toUpperCase());
        const on = mine.some((each) => covers(each.on, spot.dataset.side));
        spot.setAttribute("aria-selected", String(on));
        spot.classList.toggle("sideless", mine.some((each) => !each.on));
      });
    }

    // The side of a row after its left, right or midline was pressed.
    function after(on, side) {
      if (!on || side === "midline" || on === "midline") return on === side ? "" : side;
      if (on === "bilateral") return side === "left" ? "right" : "left";
      return on === side ? "" : "bilateral";
    }

    function press(spot) {
      const { site, side, label } = spot.dataset;
      const now = rows();
      const mine = now.filter((each) => each.site === site.toUpperCase());
      const row = [...mine].reverse().find((each) => covers(each.on, side)) || mine[mine.length - 1];
      said.textContent = "";
      if (!row) {
        const free = now.find((each) => !each.site && !each.more);
        if (!free) {
          said.textContent = chart.dataset.full;
          return;
        }
        send(free.place, "edc:set", { value: site, label });
        send(free.side, "edc:set", { value: side });
        return;
      }
      const next = after(row.on, side);
      if (!next && !row.more) return void send(row.row, "edc:take-out");
      if (!next) said.textContent = chart.dataset.kept;
      send(row.side, "edc:set", { value: next });
    }

    // One stop for Tab in each picture; arrow keys go from field to field.
    function enter(grid, spot) {
      all(".spot", grid).forEach((each) => each.setAttribute("tabindex", each === spot ? "0" : "-1"));
    }

    function go(spot, code) {
      const grid = spot.closest("[role=grid]");
      const lines = all("[role=row]", grid).map((line) => all(".spot", line));
      const down = lines.findIndex((line) => line.includes(spot));
      const across = lines[down].indexOf(spot);
      const steps = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };
      const [rowStep, columnStep] = steps[code];
      const line = lines[down + rowStep];
      const next = line && line[Math.min(across + columnStep, line.length - 1)];
      if (!next) return;
      enter(grid, next);
      next.focus();
    }

    all("[role=grid]", chart).forEach((grid) => enter(grid, one(".spot", grid)));
    chart.addEventListener("click", (event) => {
      const spot = event.target.closest(".spot");
      if (!spot) return;
      enter(spot.closest("[role=grid]"), spot);
      press(spot);
    });
    chart.addEventListener("keydown", (event) => {
      const spot = event.target.closest(".spot");
      if (!spot || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.code.startsWith("Arrow")) go(spot, event.code);
      else if (["Space", "Enter", "NumpadEnter"].includes(event.code)) press(spot);
      else return;
      event.preventDefault();
    });
    form.addEventListener("edc:painted", (event) => {
      if (group.contains(event.detail)) draw();
    });
    draw();
  }

  all("[data-chart]").forEach(chartOf);
})();
