// Walks through the rows: what is pressed becomes a decision, which the server writes down at once.
import { checkName, drawRow, element, number } from "./row.js";
import { Search } from "./search.js";

const ELSEWHERE = "Meanwhile this row was decided in another window. Look again, and decide.";
const byId = (id) => document.getElementById(id);
const views = new Map();
const made = []; // what this window decided, the last one at the end, for undo
let review = null;
let decisions = new Map();
let items = [];
let row = null;
let chosen = new Set(); // of rows with several labels: those that Enter will save
let newLabels = null; // labels that wait to be confirmed, since no row has them yet
let search = null;
let work = Promise.resolve();
let pressedAt = 0; // when what is being done was asked for
let changedAt = 0; // when another window's decision on this row was heard of

async function ask(method, path, body) {
  const options = { method, headers: { "content-type": "application/json" } };
  if (body !== undefined) options.body = JSON.stringify(body);
  let response;
  try {
    response = await fetch(`api/${path}`, options);
  } catch {
    throw new Error("The server gives no answer. What was decided is saved; start tunesmith review again to go on.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const error = new Error(answer.error ? answer.error.message : `The server answered ${response.status}.`);
  throw Object.assign(error, { code: answer.error && answer.error.code, answer });
}

async function view(wanted) {
  if (!views.has(wanted)) {
    if (views.size > 200) views.clear();
    views.set(wanted, await ask("GET", `rows/${wanted}`));
  }
  return views.get(wanted);
}

function notice(text, ...more) {
  byId("notice").hidden = !text;
  byId("notice").replaceChildren(...(text ? [element("p", "", text), ...more] : []));
}

function say(text) {
  byId("said").textContent = text;
}

function readDecisions(told) {
  decisions = new Map(Object.entries(told).map(([one, decision]) => [Number(one), decision]));
}

// What is shown

function filtered() {
  const check = byId("filter").value;
  const rows = review.items.filter(([, ...flags]) => !check || flags.some((one) => review.findings[one].check === check));
  return rows.map(([one]) => one);
}

function fillFilter() {
  const counts = new Map();
  for (const [, ...flags] of review.items) {
    for (const check of new Set(flags.map((one) => review.findings[one].check))) counts.set(check, (counts.get(check) || 0) + 1);
  }
  const options = [new Option(`all flagged rows (${number(review.items.length)})`, "")];
  for (const check of new Set(review.findings.map((one) => one.check))) {
    options.push(new Option(`${checkName(check)} (${number(counts.get(check) || 0)})`, check));
  }
  byId("filter").replaceChildren(...options);
}

function showProgress() {
  const done = items.filter((one) => decisions.has(one)).length;
  byId("count").textContent = items.length ? `${number(done)} of ${number(items.length)} decided` : "no rows flagged";
  byId("bar").setAttribute("aria-valuenow", String(done));
  byId("bar").setAttribute("aria-valuemax", String(Math.max(items.length, 1)));
  byId("bar").firstElementChild.style.width = `${(100 * done) / Math.max(items.length, 1)}%`;
  const place = items.indexOf(row);
  byId("place").textContent = place >= 0 ? `${number(place + 1)} / ${number(items.length)}` : row === null ? "the end" : "looked up";
}

async function show(wanted, { focus = true } = {}) {
  newLabels = null;
  row = wanted;
  if (wanted === null) {
    showEnd();
  } else {
    const shown = await view(wanted);
    const decision = decisions.get(wanted);
    const labels = decision && decision.action === "relabel" ? decision.after : shown.labels;
    chosen = new Set(review.several ? labels || [] : []);
    draw(shown, focus);
    const next = items[items.indexOf(wanted) + 1];
    if (next !== undefined) view(next).catch(() => {});
  }
  showProgress();
}

function draw(shown, focus) {
  const parts = drawRow(shown, review, decisions, chosen).filter(Boolean);
  if (review.target) parts[2].append(search.root);
  search.clear();
  byId("main").replaceChildren(...parts);
  if (focus) byId("row").focus({ preventScroll: true });
  if (focus) scrollTo({ top: 0 });
}

function showEnd() {
  const left = items.filter((one) => !decisions.has(one)).length;
  const text = items.length === 0 ? "The checks flagged no rows." : left ? `${number(left)} rows are left undecided.` : "Every row is decided.";
  const box = element("section", "card end", element("h2", "", text));
  box.id = "row";
  box.tabIndex = -1;
  const command = element("pre", "", review.command);
  command.tabIndex = 0;
  box.append(element("p", "note", "Train on the corrected rows with"), element("div", "code", command));
  byId("main").replaceChildren(box);
  box.focus({ preventScroll: true });
}

// Moving

function after(start) {
  const from = items.indexOf(start) + 1;
  const order = [...items.slice(from), ...items.slice(0, from)];
  const open = order.find((one) => !decisions.has(one));
  return open === undefined ? null : open;
}

function move(step) {
  const place = row === null ? items.length : items.indexOf(row);
  if (place < 0) return show(after(null));
  const to = place + step;
  return to < 0 ? undefined : show(to < items.length ? items[to] : null);
}

async function lookUp(text) {
  const wanted = Number(text.replace(/[\s,.]/g, ""));
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > review.num_rows) {
    notice(`Rows are numbered from 1 to ${number(review.num_rows)}.`);
    return;
  }
  await show(wanted);
}

// Deciding

async function decide(action, labels = [], isNew = false) {
  if (row === null) return;
  if (pressedAt < changedAt) throw new Error(ELSEWHERE);
  const shown = await view(row);
  const previous = decisions.get(row) || null;
  const check = shown.reasons.length ? review.findings[shown.reasons[0].finding].check : "";
  const body = { action, labels, new_label: isNew, check, seen: previous && previous.when };
  const decided = await ask("PUT", `rows/${row}/decision`, body).catch((error) => {
    if (error.code !== "new_label") throw error;
    confirmNew(labels);
    return null;
  });
  if (!decided) return;
  decisions.set(row, decided);
  made.push({ row, previous, when: decided.when });
  for (const label of labels) search.learn(label);
  say(`Row ${row}: ${action === "relabel" ? labels.join(", ") : action}`);
  const isListed = items.includes(row);
  await show(isListed ? after(row) : row);
}

function confirmNew(labels) {
  newLabels = labels;
  const known = new Set(review.labels.map(([label]) => label));
  const named = labels.filter((label) => !known.has(label)).join(", ");
  const yes = element("button", "action primary", element("span", "", `Add ${named}`), element("kbd", "", "Enter"));
  yes.type = "button";
  yes.addEventListener("click", () => run(() => decide("relabel", labels, true)));
  const no = element("button", "action", element("span", "", "Cancel"), element("kbd", "", "Esc"));
  no.type = "button";
  no.addEventListener("click", () => { newLabels = null; notice(""); byId("row").focus(); });
  notice(`No row has the label “${named}” yet. Is it new, and meant so?`, element("div", "actions", yes, no));
  yes.focus();
}

async function undo() {
  const last = made.pop();
  let newest = null;
  for (const [one, decision] of decisions) if (!newest || decision.when > newest[1].when) newest = [one, decision];
  const of = last ? last.row : newest && newest[0];
  if (!of || !decisions.has(of)) return say("There is nothing to undo");
  const seen = decisions.get(of).when;
  if (last && last.when !== seen) throw new Error(`Row ${number(of)} was decided in another window since; look at it there.`);
  if (last && last.previous) {
    const { action, after: labels, check } = last.previous;
    const body = { action, labels: action === "relabel" ? [labels].flat() : [], new_label: true, check, seen };
    decisions.set(of, await ask("PUT", `rows/${of}/decision`, body));
  } else {
    await ask("DELETE", `rows/${of}/decision`, { seen });
    decisions.delete(of);
  }
  say(`Row ${of}: undone`);
  await show(of);
}

function same(a, b) {
  return a.size === b.length && b.every((label) => a.has(label));
}

async function pick(label) {
  if (!review.several) return decide("relabel", [label]);
  if (!chosen.delete(label)) chosen.add(label);
  draw(await view(row), true);
}

async function save() {
  const shown = await view(row);
  if (shown.labels !== null && same(chosen, shown.labels)) return decide("keep");
  return decide("relabel", [...chosen]);
}

async function accept() {
  if (row === null) return;
  if (newLabels) return decide("relabel", newLabels, true);
  if (review.several) return save();
  const { suggestion } = await view(row);
  if (suggestion) return decide("relabel", [suggestion.label]);
  say("Nothing is suggested for this row");
}

const ACTIONS = {
  accept, save, undo,
  keep: () => decide("keep"),
  drop: () => decide("drop"),
  next: () => move(1),
  previous: () => move(-1),
};

// One thing after the other, so that quick fingers decide on the rows that they see come.
function run(what, isQuiet = false) {
  const now = performance.now();
  work = work.then(async () => {
    if (!isQuiet) {
      notice("");
      pressedAt = now;
    }
    try {
      await what();
    } catch (error) {
      await refused(error);
    }
  });
  return work;
}

async function refused(error) {
  if (error.code === "changed") {
    const present = error.answer.present;
    if (present) decisions.set(present.row, present);
    else readDecisions(await ask("GET", "decisions").catch(() => Object.fromEntries(decisions)));
    await show(row);
  }
  notice(error.message);
}

async function catchUp() {
  if (document.visibilityState !== "visible" || !review) return;
  const before = row === null ? null : (decisions.get(row) || {}).when;
  readDecisions(await ask("GET", "decisions"));
  showProgress();
  if (row === null || before === (decisions.get(row) || {}).when) return;
  changedAt = performance.now();
  await show(row, { focus: false });
  notice(ELSEWHERE);
}

// Keys and clicks

const KEYS = {
  k: "keep", d: "drop", u: "undo", j: "next", n: "next", p: "previous",
  ArrowRight: "next", ArrowLeft: "previous", Enter: "accept",
};

function onKey(event) {
  const target = event.target instanceof Element ? event.target : document.body;
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !review) return;
  if (target.matches("input, select, textarea")) {
    if (event.key === "Escape") (byId("row") || document.body).focus();
    return;
  }
  if (event.key === "Escape" && newLabels) {
    newLabels = null;
    notice("");
    byId("row").focus();
  } else if (event.key === "/" || event.key === "g") {
    event.preventDefault();
    if (event.key === "g") byId("goto").select();
    else if (search && search.root.isConnected) search.focus();
  } else if (/^[1-9]$/.test(event.key) && row !== null) {
    run(async () => {
      const one = (await view(row)).choices[Number(event.key) - 1];
      if (one) await pick(one.label);
    });
  } else if (KEYS[event.key] && !(event.key === "Enter" && target.closest("button, summary, a"))) {
    event.preventDefault();
    run(ACTIONS[KEYS[event.key]]);
  }
}

function onClick(event) {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.do) run(ACTIONS[button.dataset.do]);
  else if (button.dataset.label !== undefined) run(() => pick(button.dataset.label));
  else if (button.dataset.row) run(() => show(Number(button.dataset.row)));
}

async function start() {
  review = await ask("GET", "review");
  readDecisions(review.decisions);
  search = new Search(review.labels, (label) => run(() => pick(label)));
  for (const one of decisions.values()) for (const label of [one.after].flat()) if (label) search.learn(label);
  document.title = `Review · ${review.source}`;
  byId("source").append(element("span", "", review.source), element("span", "", `${number(review.num_rows)} rows`));
  byId("file").textContent = review.corrections;
  fillFilter();
  items = filtered();
  await show(after(null));
}

addEventListener("keydown", onKey);
addEventListener("click", onClick);
addEventListener("visibilitychange", () => run(catchUp, true));
addEventListener("focus", () => run(catchUp, true));
byId("filter").addEventListener("change", () => run(() => { items = filtered(); return show(after(null)); }));
byId("tools").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = byId("goto").value;
  byId("goto").value = "";
  run(() => lookUp(wanted));
});
run(start);
