// What every page shares: theme, dialogs, drawers, grids by arrow keys, dates, toasts.
// No text of its own: whatever is shown to a person comes from the page, in the page's language.
"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];
  // whoever is at a choice is not typing: the keys work from there too
  const isTyping = (element) =>
    element.isContentEditable ||
    element.matches("textarea, select, input:not([type=radio], [type=checkbox])");

  // theme: the server reads the cookie, so the first paint is already right
  function toggleTheme() {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax${secure}`;
  }

  // dialogs: <button data-dialog-open="id">, <dialog id="id" class="dialog">; data-open shows one at once
  function openDialog(id) {
    const dialog = document.getElementById(id);
    if (dialog && !dialog.open) dialog.showModal();
  }

  // drawers: <aside class="drawer" hidden>; focus goes in, and on closing back to where it came from
  let drawerOpener = null;
  function openDrawer(id, opener) {
    const drawer = document.getElementById(id);
    if (!drawer) return;
    drawerOpener = opener;
    drawer.hidden = false;
    const head = drawer.querySelector("h2, h3");
    if (head) {
      head.tabIndex = -1;
      head.focus();
    }
  }

  function closeDrawer(drawer) {
    drawer.hidden = true;
    if (drawerOpener && drawerOpener.isConnected) drawerOpener.focus();
    drawerOpener = null;
  }

  // grids (APG): one tab stop, arrow keys between cells, the last visited cell keeps the stop
  const cellTarget = (cell) => cell.querySelector("a[href], button:not(:disabled), input") || cell;

  function gridRows(grid) {
    return all("tr", grid).map((row) => [...row.cells]);
  }

  function prepareGrid(grid) {
    const targets = gridRows(grid).flat().map(cellTarget);
    const stops = targets.filter((target) => target.tagName !== "TD" && target.tagName !== "TH");
    if (stops.some((target) => target.tabIndex === 0 && target.dataset.stop)) return;
    stops.forEach((target) => (target.tabIndex = -1));
    const first = stops.find((target) => target.closest("tbody")) || stops[0];
    if (first) setStop(grid, first);
  }

  function setStop(grid, target) {
    all("[data-stop]", grid).forEach((old) => {
      old.tabIndex = -1;
      delete old.dataset.stop;
    });
    target.tabIndex = 0;
    target.dataset.stop = "1";
  }

  function moveInGrid(event, grid) {
    if (event.altKey || event.metaKey || event.isComposing || event.target.tagName === "INPUT") return;
    const rows = gridRows(grid);
    const y = rows.findIndex((cells) => cells.some((cell) => cell.contains(event.target)));
    if (y < 0) return;
    const x = rows[y].findIndex((cell) => cell.contains(event.target));
    const last = rows.length - 1;
    let row = y;
    let column = x;
    if (event.code === "ArrowRight") column += 1;
    else if (event.code === "ArrowLeft") column -= 1;
    else if (event.code === "ArrowDown") row += 1;
    else if (event.code === "ArrowUp") row -= 1;
    else if (event.code === "PageDown") row = Math.min(last, row + 8);
    else if (event.code === "PageUp") row = Math.max(0, row - 8);
    else if (event.code === "Home") {
      column = 0;
      if (event.ctrlKey) row = 0;
    } else if (event.code === "End") {
      if (event.ctrlKey) row = last;
      column = rows[row].length - 1;
    } else return;
    const cell = rows[row] && rows[row][column];
    event.preventDefault();
    if (!cell) return;
    const target = cellTarget(cell);
    setStop(grid, target);
    target.focus();
    target.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // F goes to the next cell of a grid that needs work, Q to the next with a query; round and round
  const WORK = [".st-overdue", ".st-due", ".st-started", ".st-stale"].map((name) => `a.cell${name}`).join();

  function nextInGrid(wanted) {
    const grid = document.querySelector("table[role=grid]");
    if (!grid) return false;
    const found = all("a.cell", grid);
    const from = found.indexOf(document.activeElement);
    const order = [...found.slice(from + 1), ...found.slice(0, from + 1)];
    const target = order.find(wanted);
    if (!target) return false;
    setStop(grid, target);
    target.focus();
    target.scrollIntoView({ block: "center", inline: "nearest" });
    return true;
  }

  const gridKeys = {
    KeyF: () => nextInGrid((cell) => cell.matches(WORK)),
    KeyQ: () => nextInGrid((cell) => cell.querySelector(".queries")),
  };

  // back: a link opened from a list carries the list's address, and after # the link itself with the
  // ones beside it; coming back, the first of them that is still there gets the focus
  const LINKS = "[data-list] a[href]";

  function carryBack(link) {
    const links = all(LINKS);
    const at = links.indexOf(link);
    const beside = [links[at], links[at + 1], links[at - 1]].filter(Boolean);
    const places = beside.map((each) => new URL(each.href).pathname).join("~");
    const url = new URL(link.href);
    url.searchParams.set("back", `${location.pathname}${location.search}#${places}`);
    link.href = url.href;
  }

  function comeBack() {
    if (!location.hash.startsWith("#/")) return;
    const links = all(LINKS);
    const found = decodeURIComponent(location.hash.slice(1))
      .split("~")
      .map((path) => links.find((link) => new URL(link.href).pathname === path))
      .find(Boolean);
    const target = found || document.getElementById("main");
    const grid = target.closest("table[role=grid]");
    if (grid) setStop(grid, target);
    target.focus();
    target.scrollIntoView({ block: "center", inline: "nearest" });
  }

  // the address of a page that was reached by sending a form keeps the way back too
  function keepBack() {
    const link = document.querySelector("[data-back]");
    const url = new URL(location.href);
    if (!link || url.searchParams.has("back")) return;
    url.searchParams.set("back", link.getAttribute("href"));
    history.replaceState(history.state, "", url);
  }

  // dates: quick buttons fill the three boxes, and a whole date may be pasted into any of them
  function setDate(boxes, text) {
    const found = text.normalize("NFKC").match(/^\s*(\d{4})[-./년\s]*(\d{1,2})[-./월\s]*(\d{1,2})[.일]?\s*$/);
    if (!found) return false;
    ["year", "month", "day"].forEach((part, index) => {
      const box = boxes.querySelector(`[data-part="${part}"]`);
      if (!box) return;
      box.value = index ? String(Number(found[index + 1])) : found[1];
      box.dispatchEvent(new Event("input", { bubbles: true }));
      box.dispatchEvent(new Event("change", { bubbles: true }));
    });
    return true;
  }

  // toasts: made from a <template> of the page; an undo toast goes after its seconds unless in use
  function showToast(templateId) {
    const template = document.getElementById(templateId);
    const place = document.querySelector(".toasts");
    if (template && place) {
      place.append(template.content.cloneNode(true));
      all(".toast", place).forEach(startToast);
    }
  }

  function startToast(toast) {
    const seconds = Number(toast.dataset.seconds);
    if (!seconds || toast.dataset.started) return;
    toast.dataset.started = "1";
    const leave = () =>
      toast.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : toast.remove();
    setTimeout(leave, seconds * 1000);
  }

  function prepare(scope) {
    all("table[role=grid]", scope.parentNode || scope).forEach(prepareGrid);
    all("dialog[data-open]", scope).forEach((dialog) => openDialog(dialog.id));
    all(".toast", scope).forEach(startToast);
  }

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    let hit;
    if (at("[data-theme-toggle]")) toggleTheme();
    else if ((hit = at("[data-dialog-open]"))) openDialog(hit.dataset.dialogOpen);
    else if ((hit = at("[data-dialog-close]"))) hit.closest("dialog").close();
    else if ((hit = at("[data-drawer-open]"))) openDrawer(hit.dataset.drawerOpen, hit);
    else if ((hit = at("[data-drawer-close]"))) closeDrawer(hit.closest(".drawer"));
    else if ((hit = at("[data-toast-close]"))) hit.closest(".toast").remove();
    else if ((hit = at("[data-date]"))) setDate(hit.closest(".date-boxes"), hit.dataset.date);
    else if (at("[data-print]")) print();
    if ((hit = at(LINKS))) carryBack(hit);
    all("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });

  document.addEventListener("auxclick", (event) => {
    const link = event.target.closest(LINKS);
    if (link) carryBack(link);
  });

  document.addEventListener("keydown", (event) => {
    const grid = event.target.closest && event.target.closest("table[role=grid]");
    if (grid) moveInGrid(event, grid);
    if (event.code === "Escape") {
      const menu = event.target.closest("details.menu[open]");
      const drawer = event.target.closest(".drawer");
      if (menu) {
        menu.open = false;
        menu.querySelector("summary").focus();
      } else if (drawer) closeDrawer(drawer);
    }
    // "/" goes to the search box; a person can switch single-key shortcuts off (WCAG 2.1.4)
    const plain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.shiftKey;
    if (event.code === "Slash" && plain && !event.isComposing && !isTyping(event.target)) {
      const search = document.querySelector("[data-search]");
      if (search && root.dataset.shortcuts !== "off" && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    }
    if (gridKeys[event.code] && plain && !event.isComposing && !isTyping(event.target)) {
      const free = root.dataset.shortcuts !== "off" && !document.querySelector("dialog[open]");
      if (free && gridKeys[event.code]()) event.preventDefault();
    }
  });

  document.addEventListener("focusin", (event) => {
    const grid = event.target.closest("table[role=grid]");
    const cell = event.target.closest("td, th");
    if (grid && cell && cellTarget(cell) === event.target) setStop(grid, event.target);
  });

  document.addEventListener("paste", (event) => {
    const boxes = event.target.closest && event.target.closest(".date-boxes");
    if (boxes && setDate(boxes, event.clipboardData.getData("text"))) event.preventDefault();
  });

  document.addEventListener("htmx:afterSettle", (event) => prepare(event.detail.elt));
  document.addEventListener("htmx:sendError", () => showToast("toast-offline"));
  document.addEventListener("htmx:responseError", () => showToast("toast-refused"));
  document.addEventListener("DOMContentLoaded", () => {
    prepare(document);
    comeBack();
    keepBack();
  });
  addEventListener("hashchange", comeBack);
})();
