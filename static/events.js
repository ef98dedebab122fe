// The queue of adverse events beside the event that is being read, and the form that reports one.
// After a decision the focus goes to the next row's link, never to a button: a second Enter opens
// the next event and decides nothing.
"use strict";
(() => {
  const wide = matchMedia("(min-width: 1200px)");
  const pane = () => document.getElementById("event-pane");
  const links = () => [...document.querySelectorAll("#queue .row-link")];
  const isTyping = (element) =>
    element.isContentEditable || /^(input|textarea|select)$/i.test(element.tagName);

  function mark(link) {
    document.querySelectorAll("#queue tr[aria-current]").forEach((row) => {
      row.removeAttribute("aria-current");
    });
    if (link) link.closest("tr").setAttribute("aria-current", "true");
  }

  function open(link) {
    mark(link);
    window.htmx.ajax("GET", link.href, { target: "#event-pane", swap: "innerHTML" });
  }

  // the row that the reader is at: the one with the focus, else the one that is open
  function here() {
    const row =
      document.activeElement.closest("#queue tr") ||
      document.querySelector("#queue tr[aria-current]");
    return row ? links().findIndex((link) => row.contains(link)) : -1;
  }

  function step(by) {
    const all = links();
    const link = all[Math.min(Math.max(here() + by, 0), all.length - 1)];
    if (link) link.focus();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#queue .row-link");
    const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
    if (!link || !plain || !pane() || !wide.matches || !window.htmx) return;
    event.preventDefault();
    open(link);
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.elt.id !== "event-pane") return;
    const done = event.detail.elt.querySelector("[data-decided]");
    if (done) {
      const row = document.getElementById(`event-${done.dataset.decided}`);
      const next = row && row.nextElementSibling;
      mark(null);
      const link = (next || row).querySelector(".row-link");
      if (link) link.focus();
      return;
    }
    const heading = event.detail.elt.querySelector("[data-pane-heading]");
    const invalid = event.detail.elt.querySelector("[aria-invalid]");
    event.detail.elt.scrollTop = 0;
    if (invalid) invalid.focus();
    else if (heading) heading.focus();
  });

  document.addEventListener("keydown", (event) => {
    const off = document.documentElement.dataset.shortcuts === "off";
    const held = event.ctrlKey || event.altKey || event.metaKey || event.shiftKey;
    // Enter in a one-line field neither saves nor looks anything up
    if (event.code === "Enter" && event.target.closest("[data-event-form]")) {
      const one = event.target.matches("input:not([type=radio], [type=checkbox], [type=submit])");
      if (one && !event.isComposing) event.preventDefault();
    }
    if (off || held || event.isComposing || isTyping(event.target) || !pane()) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.code === "KeyJ") step(1);
    else if (event.code === "KeyK") step(-1);
    else if (event.code === "Digit1" || event.code === "Numpad1") {
      const button = pane().querySelector('[data-review] [data-key="1"]');
      if (button && button.checkVisibility()) button.click();
    } else if (event.code === "Digit3" || event.code === "Numpad3") {
      const fold = pane().querySelector('summary[data-key="3"]');
      if (fold) {
        fold.parentElement.open = true;
        fold.parentElement.querySelector("textarea").focus();
      }
    } else return;
    event.preventDefault();
  });
})();
