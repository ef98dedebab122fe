// Data entry. Saves what changed, in order, once, and says honestly what is safe.
// Every word that it shows comes from the page; nothing is kept in the browser's storage.
"use strict";
(() => {
  const PAUSE = 5000; // at most one save in this time, and one on leaving
  const RETRY = 8000; // how long to wait before trying again without a connection

  if (new URLSearchParams(location.search).has("signed_in")) {
    // The tab in which somebody signed in again: the form's own tab goes on by itself.
    window.close();
    return;
  }
  const form = document.getElementById("entry");
  if (!form || !form.dataset.save) return;

  const root = document.documentElement;
  const line = document.querySelector("[data-save-line]");
  const digits = document.getElementById("digits");
  const completed = "completed" in form.dataset;
  const all = (selector, scope = form) => [...scope.querySelectorAll(selector)];
  const one = (selector, scope = form) => scope.querySelector(selector);
  const itemOf = (target) => (target && target.closest ? target.closest("[data-item]") : null);
  const place = (code) => document.getElementById(`q-${code}`);
  const fresh = (id) => document.getElementById(id).content.cloneNode(true);

  // --- what stands in the boxes -------------------------------------------------------------------

  const own = (place) => all("input, select, textarea", one(".answer", place));

  function valueOf(place) {
    const inputs = own(place);
    switch (place.dataset.widget) {
      case "multi":
        return inputs.filter((input) => input.checked).map((input) => input.value);
      case "scale":
      case "tiles": {
        const chosen = inputs.find((input) => input.checked);
        return chosen ? chosen.value : "";
      }
      case "date": {
        const parts = inputs.map((input) => input.value.trim());
        while (parts.length && !parts[parts.length - 1]) parts.pop();
        return parts.join("-");
      }
      default:
        return inputs[0].value;
    }
  }

  function put(place, value) {
    const inputs = own(place);
    const text = value === null || value === undefined ? "" : value;
    switch (place.dataset.widget) {
      case "multi": {
        const codes = new Set((Array.isArray(text) ? text : []).map(String));
        inputs.forEach((input) => (input.checked = codes.has(input.value)));
        break;
      }
      case "scale":
      case "tiles":
        inputs.forEach((input) => (input.checked = input.value === String(text)));
        break;
      case "date": {
        const parts = String(text).split("-");
        inputs.forEach((input, index) => (input.value = parts[index] || ""));
        break;
      }
      default:
        inputs[0].value = String(text);
    }
  }

  const whyInputs = (place) => all(".missing input[type=radio]", place);
  function whyOf(place) {
    const chosen = whyInputs(place).find((input) => input.checked);
    return chosen ? chosen.value : "";
  }

  function putWhy(place, code) {
    const details = one(".missing", place);
    if (!details) return;
    let label = "";
    whyInputs(place).forEach((input) => {
      input.checked = Boolean(code) && input.value === code;
      if (input.checked) label = input.parentNode.textContent.trim();
    });
    one("[data-why]", details).textContent = label ? `: ${label}` : "";
    one("[data-unmark]", details).hidden = !code;
    place.toggleAttribute("data-missing", Boolean(code));
    if (!code) details.open = false;
  }

  const empty = (value) => value === "" || (Array.isArray(value) && !value.length);
  // What the page would send for what is stored, so that both can be compared as text.
  function asSeen(stored) {
    if (stored === undefined || stored === null) return '""|';
    if (!Array.isArray(stored) && typeof stored === "object") return `""|${stored.missing}`;
    return `${JSON.stringify(Array.isArray(stored) ? stored.map(String) : String(stored))}|`;
  }
  function asTyped(place) {
    const value = valueOf(place);
    return `${JSON.stringify(empty(value) ? "" : value)}|${whyOf(place)}`;
  }

  // --- what is not saved yet ----------------------------------------------------------------------

  let base = JSON.parse(form.elements.base.value || "{}");
  const dirty = new Map(); // code → what was typed when it was left
  const editing = new Set(); // codes that somebody is in the middle of
  const held = new Map(); // code → the text that the server could not keep
  const conflicts = new Set();
  const unreasoned = new Set();
  let sending = null; // the message on its way; the same one is sent again after a failure
  let lastSent = 0;
  let timer = 0;
  let offline = false;
  let signedOut = false;
  let refused = false;
  let savedAt = "";
  let leaving = false;

  function reasonOf(place) {
    const input = one(".correction input", place);
    return input ? input.value.trim() : "";
  }

  function commit(place) {
    const code = place.dataset.item;
    editing.delete(code);
    note(place);
    const typed = asTyped(place);
    if (typed === asSeen(base[code]) && !conflicts.has(code)) {
      dirty.delete(code);
      held.delete(code);
      unreasoned.delete(code);
    } else if (held.get(code) === typed && !reasonOf(place)) {
      // The server could not keep exactly this: it stays on the page, marked, until it changes.
      return show();
    } else {
      held.delete(code);
      dirty.set(code, typed);
      if (completed || one("[data-source]", place)) askReason(place);
    }
    reveal(place);
    paint(place);
    soon();
    if ("drives" in place.dataset && dirty.has(code) && !mayGo()) preview();
    return show();
  }

  // Answers as they were left, and what each step changed, so that Ctrl+Z can take a step back.
  const left = new Map();
  const steps = [];
  let step = null; // what belongs together: a row that is taken out changes several answers
  const standing = (box) => ({ value: valueOf(box), why: whyOf(box), typed: asTyped(box) });

  function note(box) {
    const before = left.get(box.dataset.item);
    const now = standing(box);
    if (before.typed === now.typed) return;
    left.set(box.dataset.item, now);
    if (!step) {
      step = [];
      steps.push(step);
      queueMicrotask(() => (step = null));
    }
    step.push([box, before]);
  }

  // The answers before the last step are given again: saved, and in the history, like any other.
  function undo() {
    const last = steps.pop();
    if (!last) return false;
    forget();
    last.reverse().forEach(([box, before]) => {
      put(box, before.value);
      putWhy(box, before.why);
      left.set(box.dataset.item, before);
      commit(box);
      const group = box.closest("[data-group]");
      if (group) tidyRows(group);
    });
    const [box] = last[last.length - 1];
    document.querySelectorAll("[data-undone]").forEach((each) => each.remove());
    one("[data-notes]", box).before(fresh("t-undone"));
    focusIn(box);
    return true;
  }

  function askReason(place) {
    if (!one(".correction", place)) {
      const box = fresh("t-reason").firstElementChild;
      const input = one("input", box);
      input.id = `r-${place.dataset.item}`;
      input.name = `${place.dataset.item}.reason`;
      one("label", box).htmlFor = input.id;
      one("[data-notes]", place).after(box);
    }
    const code = place.dataset.item;
    if (reasonOf(place)) unreasoned.delete(code);
    else unreasoned.add(code);
  }

  // Questions that hang on this answer alone open at once, so that a fast hand can go on to them;
  // whether they apply is what the server says with its next answer.
  function reveal(box) {
    if (!box.dataset.reveals) return;
    const map = JSON.parse(box.dataset.reveals);
    const values = [valueOf(box)].flat().filter((value) => !empty(value));
    const open = new Set(values.flatMap((value) => [...(map["*"] || []), ...(map[value] || [])]));
    Object.values(map).flat().forEach((code) => {
      const other = place(code);
      other.toggleAttribute("data-skipped", !open.has(code));
      if (open.has(code)) one(".answer", other).inert = false;
    });
  }

  const ready = () => [...dirty.keys()].filter((c) => !unreasoned.has(c) && !conflicts.has(c));
  const mayGo = () => !sending && Date.now() - lastSent >= PAUSE;

  function soon() {
    clearTimeout(timer);
    if (!ready().length || sending || signedOut) return;
    const wait = Math.max(0, lastSent + PAUSE - Date.now());
    timer = setTimeout(send, wait);
  }

  function message(codes) {
    const body = { op: crypto.randomUUID(), base: {}, changes: {}, missing: {}, reasons: {} };
    codes.forEach((code) => {
      const box = place(code);
      const why = whyOf(box);
      body.base[code] = code in base ? base[code] : null;
      if (why) body.missing[code] = why;
      else body.changes[code] = valueOf(box);
      if (reasonOf(box)) body.reasons[code] = reasonOf(box);
    });
    body.captured_at = new Date().toISOString();
    return body;
  }

  function post(body, keepalive = false) {
    return fetch(form.dataset.save, {
      method: "POST",
      keepalive,
      credentials: "same-origin",
      headers: {
        "Content-Type": "application/json",
        "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
        "X-Requested-With": "fetch",
      },
      body: JSON.stringify(body),
    });
  }

  async function send() {
    clearTimeout(timer);
    if (sending || signedOut) return;
    const codes = ready();
    if (!codes.length) return;
    sending = { body: message(codes), typed: new Map(codes.map((c) => [c, dirty.get(c)])) };
    await deliver();
  }

  let delivery = null; // settled when the message on its way was answered, or could not be sent
  function deliver() {
    delivery = attempt();
    return delivery;
  }

  async function attempt() {
    lastSent = Date.now();
    offline = refused = false;
    show();
    let answer;
    try {
      answer = await post(sending.body, leaving);
    } catch {
      offline = true;
      show();
      timer = setTimeout(deliver, RETRY);
      return;
    }
    await receive(answer);
  }

  async function receive(answer) {
    const said = await answer.json().catch(() => null);
    if (answer.status === 401 || answer.status === 403) {
      if (answer.status === 403 && !sending.renewed && (await renew())) {
        sending.renewed = true;
        return deliver();
      }
      signedOut = true;
      document.getElementById("signed-out").showModal();
      return show();
    }
    if (!said || (answer.status !== 200 && !said.conflicts)) {
      if (answer.status >= 500 || !said) {
        offline = true;
        timer = setTimeout(deliver, RETRY);
        return show();
      }
      sending = null;
      refused = true;
      tell(said.detail || "");
      return show();
    }
    const sent = sending;
    sending = null;
    apply(said, sent);
    return soon();
  }

  function tell(text) {
    const dialog = document.getElementById("refused");
    one("[data-refused]", dialog).textContent = text;
    if (!dialog.open) dialog.showModal();
  }

  // --- what the server said -----------------------------------------------------------------------

  function stored(said, code) {
    if (code in said.answers) return said.answers[code];
    return code in said.missing ? { missing: said.missing[code] } : undefined;
  }

  function apply(said, sent) {
    const codes = sent ? [...sent.typed.keys()] : [];
    said.accepted.forEach((code) => {
      const value = stored(said, code);
      if (value === undefined) delete base[code];
      else base[code] = value;
      const box = place(code);
      if (!box) return;
      if (dirty.get(code) === sent.typed.get(code)) dirty.delete(code);
      held.delete(code);
      unreasoned.delete(code);
      const reason = one(".correction", box);
      if (reason && !dirty.has(code) && !reason.contains(document.activeElement)) reason.remove();
      // As it is stored: full-width digits have become digits, a code its list's spelling.
      if (!dirty.has(code) && !editing.has(code) && !box.contains(document.activeElement))
        put(box, value && typeof value === "object" && !Array.isArray(value) ? "" : value);
      if (!dirty.has(code) && !editing.has(code)) left.set(code, standing(box));
    });
    codes.forEach((code) => {
      if (said.errors[code]) {
        held.set(code, sent.typed.get(code));
        if (dirty.get(code) === sent.typed.get(code)) dirty.delete(code);
      }
      if (said.needs_reason.includes(code)) askReason(place(code));
      // Whoever changed what the participant had answered is its source now.
      else if (!said.errors[code] && !said.conflicts[code]) one("[data-source]", place(code))?.remove();
    });
    Object.keys(said.conflicts).forEach((code) => conflicts.add(code));
    form.elements.base.value = JSON.stringify(base);
    savedAt = said.time;
    draw(said);
    show();
  }

  // Everything that depends on the answers, as the server worked it out.
  function draw(said) {
    const shown = new Set(said.shown);
    all("[data-item]").forEach((box) => {
      const code = box.dataset.item;
      box.toggleAttribute("data-skipped", !shown.has(code));
      const notes = one("[data-notes]", box);
      const busy = notes.contains(document.activeElement) || one(".confirm[open]", notes);
      if (!busy && !(conflicts.has(code) && !said.notes[code])) {
        if (!(held.has(code) && !(code in said.notes))) notes.innerHTML = said.notes[code] || "";
      }
      const coded = one("[data-coded]", box);
      if (coded && !dirty.has(code)) coded.textContent = said.coded[code] || "";
      paint(box);
    });
    one("[data-scores]").innerHTML = said.scores_html;
    const progress = document.querySelector("[data-progress]");
    one("[data-answered]", progress).textContent = said.answered;
    one("[data-due]", progress).textContent = said.due;
    const bar = one("progress", progress);
    bar.max = said.due || 1;
    bar.value = said.answered;
  }

  function paint(box) {
    form.dispatchEvent(new CustomEvent("edc:painted", { detail: box }));
    const code = box.dataset.item;
    const filled = !empty(valueOf(box)) || Boolean(whyOf(box));
    const skipped = "skipped" in box.dataset;
    const error = Boolean(one("[data-notes] .field-error", box));
    box.toggleAttribute("data-filled", filled);
    one(".answer", box).inert = skipped && !filled;
    own(box).forEach((input) => {
      if (error) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    });
    const link = document.querySelector(`[data-for="${code}"]`);
    if (!link) return;
    const open = error || conflicts.has(code) || one(".check:not(.confirmed), .asked", box);
    const state = open ? "started" : skipped ? "not_due" : whyOf(box) ? "missed" : filled ? "complete" : "expected";
    link.className = `st-${state}${skipped ? " skipped" : ""}`;
    const use = one("use", link);
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#st-${state}`));
  }

  // The one line that says whether the work is safe.
  function show() {
    const waiting = new Set([...dirty.keys(), ...held.keys()]);
    let state = "idle";
    let number = waiting.size;
    if (signedOut || refused) state = "error";
    else if (conflicts.size) [state, number] = ["conflict", conflicts.size];
    else if (offline) state = "offline";
    else if (sending) state = "saving";
    else if (held.size || unreasoned.size) state = "error";
    else if (editing.size || dirty.size) state = "typing";
    else if (savedAt) state = "saved";
    line.dataset.state = state;
    line.dataset.unsaved = waiting.size + editing.size;
    all("[data-number]", line).forEach((each) => (each.textContent = number));
    one("[data-time]", line).textContent = savedAt;
  }

  // Something was asked, answered or remarked in the drawer.
  document.addEventListener("edc:said", () => preview());

  // --- what would be shown, while a save has to wait ----------------------------------------------

  let previewing = 0;
  async function preview() {
    const turn = ++previewing;
    const codes = [...dirty.keys()].filter((code) => !held.has(code));
    const body = { ...message(codes), op: null, preview: true };
    const answer = await post(body).catch(() => null);
    if (!answer || answer.status !== 200 || turn !== previewing || sending) return;
    const said = await answer.json().catch(() => null);
    if (said && turn === previewing && !sending) draw(said);
  }

  // --- signing in again ---------------------------------------------------------------------------

  // A new session has a new token. The page is read again for it, and for who is signed in now.
  async function renew() {
    const answer = await fetch(location.pathname, { credentials: "same-origin" }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return false;
    const read = new DOMParser().parseFromString(await answer.text(), "text/html");
    const again = read.getElementById("entry");
    const other = one("[data-other-user]", document.getElementById("signed-out"));
    if (!again) return false;
    other.hidden = again.dataset.user === form.dataset.user;
    if (!other.hidden) return false;
    const token = again.elements.csrfmiddlewaretoken.value;
    document.querySelectorAll("input[name=csrfmiddlewaretoken]").forEach((input) => {
      input.value = token;
    });
    return true;
  }

  async function goOn() {
    if (!signedOut || !(await renew())) return;
    signedOut = false;
    document.getElementById("signed-out").close();
    if (sending) deliver();
    else send();
  }

  // --- choosing between two answers, confirming a questioned one -----------------------------------

  function take(input) {
    const box = itemOf(input);
    const code = box.dataset.item;
    const seen = JSON.parse(one("[data-conflict]", box).dataset.conflict);
    conflicts.delete(code);
    if (seen === null) delete base[code];
    else base[code] = seen;
    if (input.dataset.take === "theirs") {
      dirty.delete(code);
      held.delete(code);
      const missing = seen && typeof seen === "object" && !Array.isArray(seen) ? seen.missing : "";
      put(box, missing ? "" : seen);
      putWhy(box, missing);
      left.set(code, standing(box));
    } else dirty.set(code, asTyped(box));
    one("[data-notes]", box).innerHTML = "";
    form.elements.base.value = JSON.stringify(base);
    paint(box);
    focusIn(box);
    lastSent = 0;
    soon();
    show();
  }

  async function confirm(button) {
    const text = one("textarea", button.closest(".confirm"));
    if (!text.value.trim()) return text.focus();
    await flush();
    if (sending || signedOut) return;
    const body = { ...message([]), confirm: { query: Number(button.value), text: text.value } };
    const box = itemOf(button);
    const answer = await post(body).catch(() => null);
    const said = answer && (await answer.json().catch(() => null));
    if (!answer || !said) return tell("");
    if (answer.status === 401) {
      signedOut = true;
      document.getElementById("signed-out").showModal();
      return show();
    }
    if (answer.status !== 200) return tell(said.detail || "");
    button.closest(".confirm").open = false;
    focusIn(box);
    apply(said, { typed: new Map() });
  }

  // Everything that can be saved is saved, now.
  async function flush() {
    refused = false;
    [...editing].forEach((code) => commit(place(code)));
    while ((sending || ready().length) && !offline && !signedOut && !refused)
      await (sending ? delivery : send());
  }

  // --- rows ---------------------------------------------------------------------------------------

  const rowItems = (row) => all("[data-item]", row);
  const rowEmpty = (row) => rowItems(row).every((box) => empty(valueOf(box)) && !whyOf(box));

  function tidyRows(group) {
    const rows = all("[data-row]", group);
    const last = rows.reduce((found, row, n) => (rowEmpty(row) ? found : n), 0);
    rows.forEach((row, n) => {
      row.hidden = n > last && !("opened" in row.dataset);
      one("[data-row-remove]", row).hidden = rowEmpty(row) && n === 0;
    });
    const add = one("[data-row-add]", group);
    add.hidden = rows.every((row) => !row.hidden);
  }

  function addRow(group) {
    const row = all("[data-row]", group).find((each) => each.hidden);
    if (!row) return false;
    row.dataset.opened = "";
    row.hidden = false;
    tidyRows(group);
    const first = rowItems(row)[0];
    one(".answer", first).inert = false;
    first.removeAttribute("data-skipped");
    focusIn(first);
    return true;
  }

  // From the last question of a filled row on to a new row; from an empty one out of the rows.
  function nextRow(box) {
    const row = box.closest("[data-row]");
    const group = row && row.closest("[data-group]");
    if (!group) return false;
    const here = reachable().filter((each) => row.contains(each));
    if (here[here.length - 1] !== box || rowEmpty(row)) return false;
    const rows = all("[data-row]", group);
    const following = rows[rows.indexOf(row) + 1];
    return Boolean(following && following.hidden) && addRow(group);
  }

  // A row that is taken out closes up: the rows after it move one up.
  function removeRow(row, follow = true) {
    const group = row.closest("[data-group]");
    const rows = all("[data-row]", group);
    for (let n = rows.indexOf(row); n < rows.length; n++) {
      const next = rows[n + 1] ? rowItems(rows[n + 1]) : [];
      rowItems(rows[n]).forEach((box, index) => {
        const from = next[index];
        const value = from ? valueOf(from) : "";
        const why = from ? whyOf(from) : "";
        const coded = one("[data-coded]", box);
        if (coded) coded.textContent = from ? one("[data-coded]", from).textContent : "";
        put(box, value);
        putWhy(box, why);
        commit(box);
      });
    }
    delete rows[rows.length - 1].dataset.opened;
    delete row.dataset.opened;
    tidyRows(group);
    if (follow) one("[data-row-add]", group).focus();
  }

  // --- looking up a code ---------------------------------------------------------------------------

  let looking = 0;
  let asked = null; // settled when the list shows what was typed last
  function lookUp(input) {
    asked = findCodes(input);
    return asked;
  }

  async function findCodes(input) {
    const box = input.closest(".lookup");
    const list = one(".lookup-results", box);
    const text = input.value.trim();
    const turn = ++looking;
    if (!text) return closeList(input);
    const url = `${box.dataset.lookup}?q=${encodeURIComponent(text.slice(0, 100))}`;
    const answer = await fetch(url, { headers: { "X-Requested-With": "fetch" } }).catch(() => null);
    if (!answer || !answer.ok || turn !== looking) return;
    if (document.activeElement !== input && !taking) return;
    const found = (await answer.json()).codes;
    list.replaceChildren(
      ...found.map((each, n) => {
        const option = document.createElement("li");
        option.id = `${list.id}-${n}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", String(n === 0));
        option.dataset.code = each.code;
        const code = Object.assign(document.createElement("span"), { className: "code", textContent: each.code });
        const english = root.lang.startsWith("en");
        const names = document.createElement("span");
        names.textContent = english ? each.en : each.ko;
        const alt = Object.assign(document.createElement("span"), { className: "alt", textContent: english ? each.ko : each.en });
        alt.lang = english ? "ko" : "en";
        names.append(alt);
        option.dataset.label = english ? each.en : each.ko;
        option.append(code, names);
        return option;
      }),
    );
    if (!found.length) list.append(fresh("t-none"));
    list.dataset.auto = ""; // the best match waits for Enter; nobody has gone to it yet
    if (found.length) input.setAttribute("aria-activedescendant", `${list.id}-0`);
    else input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-expanded", "true");
  }

  function closeList(input) {
    looking++;
    asked = null;
    one(".lookup-results", input.closest(".lookup")).replaceChildren();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(option, stay = true) {
    const box = itemOf(option);
    const input = own(box)[0];
    input.value = option.dataset.code;
    one("[data-coded]", box).textContent = option.dataset.label;
    closeList(input);
    if (stay) input.focus();
    putWhy(box, "");
    commit(box);
  }

  // Enter and Tab take what the list offers; typed faster than it came, they wait for it.
  let taking = false;
  const later = []; // keys that a fast hand pressed meanwhile: they belong to the next question
  async function takeBest(box, input, tab) {
    taking = true;
    await asked;
    taking = false;
    settle(box, input, tab);
    while (later.length && !taking) pressAgain(later.shift());
  }

  function pressAgain(pressed) {
    const target = document.activeElement;
    const text = target.matches("textarea, input:not([type=radio], [type=checkbox])");
    if (text && pressed.key.length === 1) {
      target.setRangeText(pressed.key, target.selectionStart, target.selectionEnd, "end");
      target.dispatchEvent(new InputEvent("input", { bubbles: true }));
    } else
      target.dispatchEvent(new KeyboardEvent("keydown", { ...pressed, bubbles: true, cancelable: true }));
  }

  form.addEventListener("keydown", (event) => {
    if (!taking || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    later.push({ key: event.key, code: event.code, shiftKey: event.shiftKey });
  }, true);

  function settle(box, input, tab) {
    const option = one("[role=option][aria-selected=true]", input.closest(".lookup"));
    const here = document.activeElement === input; // whoever went elsewhere stays there
    if (option) choose(option, here);
    else commit(box);
    if (here && (option || !tab)) move(box, 1);
    else closeList(input);
  }

  function inList(event, input) {
    const options = all("[role=option]", input.closest(".lookup"));
    const now = options.findIndex((each) => each.getAttribute("aria-selected") === "true");
    if (event.code === "Escape" && options.length) {
      closeList(input);
      return true;
    }
    const take = ["Enter", "NumpadEnter", "Tab"].includes(event.code) && !event.shiftKey;
    if (take && asked && input.value.trim()) {
      takeBest(itemOf(input), input, event.code === "Tab");
      return true;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.code];
    if (!step || !options.length) return false;
    const list = options[0].parentNode;
    const first = "auto" in list.dataset && step > 0;
    delete list.dataset.auto;
    const next = first ? 0 : (now + step + options.length) % options.length;
    options.forEach((each, n) => each.setAttribute("aria-selected", String(n === next)));
    options[next].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[next].id);
    return true;
  }

  // --- moving from question to question, and keys ---------------------------------------------------

  function reachable() {
    return all("[data-item]").filter(
      (box) => !("skipped" in box.dataset && !("filled" in box.dataset)) && !box.closest("[hidden]"),
    );
  }

  function focusIn(box) {
    const inputs = own(box);
    const target = inputs.find((input) => input.checked) || inputs[0];
    target.focus({ preventScroll: true });
    (box.closest("[data-row]") || box).scrollIntoView({ block: "center", behavior: "instant" });
  }

  function move(box, step) {
    if (step > 0 && nextRow(box)) return;
    const places = reachable();
    const now = places.indexOf(box);
    const next = places[now + step];
    const row = box.closest("[data-row]");
    if (row && rowEmpty(row) && !(next && row.contains(next))) delete row.dataset.opened;
    if (next) focusIn(next);
    else if (step > 0) (document.querySelector('[data-submit][value="complete"]') || line).focus();
    if (row) tidyRows(row.closest("[data-group]"));
  }

  // To the first question without an answer.
  function begin() {
    const places = reachable();
    const first = places.find((box) => !("filled" in box.dataset)) || places[0];
    if (first) focusIn(first);
  }

  let pending = null; // {box, text}: a first digit that may become 10
  function forget() {
    if (!pending) return;
    all(".tile.pending", pending.box).forEach((tile) => tile.classList.remove("pending"));
    all("[data-pending]", pending.box).forEach((each) => each.remove());
    pending = null;
  }

  function pick(box, input) {
    forget();
    all("[data-not-on-scale]", box).forEach((each) => each.remove());
    input.checked = true;
    putWhy(box, "");
    commit(box);
    move(box, 1);
  }

  function notOnScale(box) {
    forget();
    all("[data-not-on-scale]", box).forEach((each) => each.remove());
    one("[data-notes]", box).before(fresh("t-not-on-scale"));
  }

  // Digits: 0 and 2 to 9 choose at once; 1 waits for 0 or Enter where there is a 10.
  function digit(box, number) {
    const inputs = own(box);
    const widget = box.dataset.widget;
    if (widget === "multi") {
      const input = inputs[Number(number) - 1];
      if (input) input.click();
      return;
    }
    const byKey = (key) =>
      widget === "scale"
        ? inputs.find((input) => input.value === key)
        : inputs.find((input) => (one(".tile-key", input.parentNode) || {}).textContent === key);
    if (pending && pending.box === box) {
      const whole = byKey(pending.text + number);
      if (whole) pick(box, whole);
      else notOnScale(box);
      return;
    }
    const input = byKey(number);
    if (!input) return notOnScale(box);
    if (number === "1" && byKey("10")) {
      pending = { box, text: "1" };
      input.parentNode.classList.add("pending");
      one("[data-notes]", box).before(fresh("t-pending"));
      return;
    }
    pick(box, input);
  }

  function clear(box) {
    if (pending) return forget();
    own(box).forEach((input) => (input.checked = false));
    putWhy(box, "");
    return commit(box);
  }

  const NUMBER = /^(?:Digit|Numpad)(\d)$/;
  function key(event) {
    const box = itemOf(event.target);
    if (!box || event.isComposing || event.keyCode === 229) return;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const target = event.target;
    const inAnswer = one(".answer", box).contains(target);
    const text = target.matches("textarea, select, input:not([type=radio], [type=checkbox])");
    const lookup = target.getAttribute("role") === "combobox";
    if (lookup && inList(event, target)) return event.preventDefault();
    if (event.code === "Enter" || event.code === "NumpadEnter") {
      if (target.matches("textarea, button, a, summary")) return;
      event.preventDefault();
      if (!inAnswer) return commit(box);
      if (pending && pending.box === box) {
        const input = own(box).find((each) => each.value === pending.text);
        return pick(box, input);
      }
      commit(box);
      return move(box, event.shiftKey ? -1 : 1);
    }
    if (text || !inAnswer || event.shiftKey || root.dataset.shortcuts === "off") return;
    const number = NUMBER.exec(event.code);
    if (number && digits.checked) {
      event.preventDefault();
      digit(box, number[1]);
    } else if (event.code === "Backspace") {
      event.preventDefault();
      clear(box);
    } else if (event.code === "KeyJ") move(box, 1);
    else if (event.code === "KeyK") move(box, -1);
    else if (event.code === "KeyM") {
      const details = one(".missing", box);
      if (!details) return;
      event.preventDefault();
      details.open = true;
      whyInputs(box)[0].focus();
    } else if (event.code === "KeyH" || event.code === "KeyC") {
      const link = one(event.code === "KeyH" ? "[data-history]" : "[data-about-item]", box);
      if (link) {
        event.preventDefault();
        link.click();
      }
    }
  }

  // Keys that work wherever one is on the page.
  function anywhere(event) {
    if (event.isComposing || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const target = event.target;
    const typing = target.matches("textarea, select, input:not([type=radio], [type=checkbox])");
    const box = itemOf(target);
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (event.code === "KeyZ" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      // While a text is being typed, the browser takes back its letters.
      if (typing && !(box && one(".answer", box).contains(target) && !editing.has(box.dataset.item))) return;
      if (undo()) event.preventDefault();
    } else if (!plain || typing || root.dataset.shortcuts === "off") return;
    else if (event.code === "Slash" && event.shiftKey) {
      event.preventDefault();
      document.getElementById("keys").showModal();
    } else if (event.code === "KeyJ" && !event.shiftKey && !box) {
      event.preventDefault();
      begin();
    }
  }

  // --- events -----------------------------------------------------------------------------------------

  form.addEventListener("input", (event) => {
    const box = itemOf(event.target);
    if (!box) return;
    if (event.target.closest(".answer")) {
      editing.add(box.dataset.item);
      all("[data-not-on-scale]", box).forEach((each) => each.remove());
      if (!empty(valueOf(box)) && whyOf(box)) putWhy(box, "");
      if (event.target.getAttribute("role") === "combobox" && !event.isComposing) lookUp(event.target);
      show();
    }
  });
  // An answer that something else on the page gives, such as the body chart.
  form.addEventListener("edc:set", (event) => {
    const box = itemOf(event.target);
    put(box, event.detail.value);
    putWhy(box, "");
    const coded = one("[data-coded]", box);
    if (coded) coded.textContent = event.detail.label || "";
    commit(box);
    const group = box.closest("[data-group]");
    if (group) tidyRows(group);
  });
  form.addEventListener("edc:take-out", (event) => removeRow(event.target, false));
  form.addEventListener("compositionend", (event) => {
    if (event.target.getAttribute("role") === "combobox") lookUp(event.target);
  });

  let pressed = null; // the radio button that the pointer is on
  form.addEventListener("change", (event) => {
    const target = event.target;
    const box = itemOf(target);
    if (target.matches("[data-take]")) return take(target);
    if (!box) return;
    if (target.closest(".missing")) {
      const code = target.value;
      if (code) put(box, "");
      const coded = one("[data-coded]", box);
      if (coded && code) coded.textContent = "";
      putWhy(box, code);
      commit(box);
      if (!code) focusIn(box);
    } else if (target.closest(".correction")) {
      askReason(box);
      commit(box);
    } else if (target.matches("select") || target === pressed) commit(box);
    pressed = null;
  });

  form.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    let hit;
    if ((hit = at("[data-confirm]"))) {
      event.preventDefault();
      confirm(hit);
    } else if ((hit = at("[data-clear]"))) {
      const box = itemOf(hit);
      put(box, "");
      putWhy(box, "");
      commit(box);
      move(box, 1);
    } else if ((hit = at("[data-row-add]"))) addRow(hit.closest("[data-group]"));
    else if ((hit = at("[data-row-remove]"))) removeRow(hit.closest("[data-row]"));
    else if ((hit = at(".answer input[type=radio]"))) {
      // A click is a choice; an arrow key only passes by, and is one when the question is left.
      pressed = event.detail > 0 ? hit : null;
    } else if ((hit = at("[role=option]"))) choose(hit);
  });
  // The list stays open while an entry of it is being pressed.
  form.addEventListener("mousedown", (event) => {
    if (event.target.closest("[role=option]")) event.preventDefault();
  });

  form.addEventListener("focusin", (event) => {
    const box = itemOf(event.target);
    all("[data-current]").forEach((each) => each.removeAttribute("data-current"));
    const question = event.target.closest(".question");
    if (question) question.setAttribute("data-current", "");
    document.querySelectorAll(".question-list [aria-current]").forEach((each) => each.removeAttribute("aria-current"));
    const link = box && document.querySelector(`[data-for="${box.dataset.item}"]`);
    if (link) link.setAttribute("aria-current", "true");
    if (pending && pending.box !== box) forget();
  });
  form.addEventListener("focusout", (event) => {
    const box = itemOf(event.target);
    if (!box) return;
    if (event.target.getAttribute("role") === "combobox" && !taking) closeList(event.target);
    const answer = one(".answer", box);
    if (answer.contains(event.target) && !answer.contains(event.relatedTarget) && editing.has(box.dataset.item)) {
      commit(box);
      const group = box.closest("[data-group]");
      if (group) tidyRows(group);
    }
  });
  form.addEventListener("keydown", key);
  document.addEventListener("keydown", anywhere);

  // The page's own last step: everything typed is saved first, then the page is sent as it is.
  let submitting = false;
  document.addEventListener("submit", (event) => {
    if (event.target !== form || submitting) return;
    event.preventDefault();
    const button = event.submitter;
    const go = () => {
      if (sending || signedOut || offline || refused) return;
      submitting = true;
      form.requestSubmit(button && button.value !== "save" ? button : undefined);
    };
    // Later than this event: a form that is being submitted ignores a second request.
    flush().then(() => setTimeout(go));
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-retry]")) goOn();
  });
  digits.addEventListener("change", () => {
    const secure = location.protocol === "https:" ? "; secure" : "";
    const days = 365;
    document.cookie = `digits=${digits.checked ? "on" : "off"}; path=/; max-age=${days * 86400}; samesite=lax${secure}`;
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") return goOn();
    [...editing].forEach((code) => commit(place(code)));
    leaving = true;
    send();
    leaving = false;
    return undefined;
  });
  window.addEventListener("online", () => {
    if (offline && sending) deliver();
  });
  window.addEventListener("beforeunload", (event) => {
    if (submitting) return;
    if (dirty.size || editing.size || held.size || sending || conflicts.size) event.preventDefault();
  });

  // A second hand sees nothing of the first.
  if ("blind" in form.dataset) all("[data-history], [data-about-item]").forEach((link) => link.remove());

  // --- start ------------------------------------------------------------------------------------------

  all("[data-item]").forEach((box) => {
    const code = box.dataset.item;
    box.toggleAttribute("data-missing", Boolean(whyOf(box)));
    left.set(code, standing(box));
    if (one("[data-conflict]", box)) conflicts.add(code);
    const typed = asTyped(box);
    // What a page brought back because it could not be kept.
    if (typed !== asSeen(base[code])) {
      if (one("[data-notes] .field-error", box)) held.set(code, typed);
      if (one(".correction", box)) unreasoned.add(code);
      dirty.set(code, typed);
      if (held.has(code)) dirty.delete(code);
    }
    paint(box);
  });
  all("[data-group]").forEach(tidyRows);
  show();
  soon();
  if (location.hash === "#start") begin();
  form.dataset.ready = "true";
})();
