// The drawer beside a form: the history of one question, or what was asked and remarked about it.
// Without scripts the same links open pages.
"use strict";
(() => {
  const drawer = document.getElementById("drawer");
  if (!drawer) return;
  const body = drawer.querySelector("[data-drawer-body]");
  const title = document.getElementById("drawer-t");
  let opener = null;

  async function open(link) {
    const answer = await fetch(link.href, { headers: { "X-Requested-With": "fetch" } }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) {
      location.assign(link.href);
      return;
    }
    body.innerHTML = await answer.text();
    htmx.process(body);
    opener = link;
    title.textContent = link.dataset.title || title.textContent;
    drawer.hidden = false;
    title.tabIndex = -1;
    title.focus();
  }

  // Back to the answer that one came from, so that its keys work again at once.
  function back() {
    if (!opener) return;
    const box = opener.closest("[data-item]");
    const inputs = box ? [...box.querySelectorAll(".answer input, .answer select, .answer textarea")] : [];
    (inputs.find((input) => input.checked) || inputs[0] || opener).focus();
    opener = null;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-history], a[data-about-item]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      open(link);
    } else if (event.target.closest("#drawer [data-drawer-close]")) back();
  });
  document.addEventListener("keydown", (event) => {
    if (event.code !== "Escape" || drawer.hidden || !drawer.contains(event.target)) return;
    drawer.hidden = true;
    back();
  }, true);
  // Something was said: the marks beside the questions follow.
  drawer.addEventListener("htmx:afterSwap", () => {
    document.dispatchEvent(new CustomEvent("edc:said"));
    const first = drawer.querySelector("[role=status], .field-error") || title;
    first.tabIndex = -1;
    first.focus();
  });
})();
