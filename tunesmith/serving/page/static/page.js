// Sends what is in the form to POST /v1/predict and draws the answer.
// All that comes from outside is set with textContent: nothing is ever read as HTML.
"use strict";

const NAMED_LABELS = 3;
const SHOWN_BARS = 10;
const SETTLE_MS = 250;
const form = document.getElementById("form");
const fields = [...form.querySelectorAll("textarea")];
const button = document.getElementById("run");
const result = document.getElementById("result");
const curl = document.getElementById("curl");
const keyHeader = "keyed" in document.documentElement.dataset
  ? " \\\n  -H \"authorization: Bearer $TUNESMITH_KEY\"" : "";
let running = null;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function item() {
  if (fields.length === 1) return fields[0].value;
  return Object.fromEntries(fields.map((field) => [field.name, field.value]));
}

function percent(share) {
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  if (share < 1 && share >= 0.9995) return "> 99.9 %";
  return `${(100 * share).toFixed(1)} %`;
}

function showCommand() {
  const example = fields.every((field) => field.value.trim())
    ? item()
    : fields.length === 1 ? "Your text" : Object.fromEntries(fields.map((field) => [field.name, "Your text"]));
  const body = JSON.stringify({ texts: [example] }).replaceAll("'", "'\\''");
  curl.textContent = `curl ${location.origin}/v1/predict${keyHeader} \\\n  -H 'content-type: application/json' \\\n  -d '${body}'`;
}

function bar(label, share, chosen) {
  const row = element("li", chosen ? "chosen" : "");
  const name = element("span", "name", label);
  name.title = label;
  const track = element("span", "track");
  track.setAttribute("aria-hidden", "true");
  const fill = element("span", "fill");
  fill.style.width = `${100 * share}%`;
  track.append(fill);
  row.append(name, track, element("span", "share", percent(share)));
  return row;
}

function bars(pairs, chosen) {
  const list = element("ol", "bars");
  list.append(...pairs.map(([label, share]) => bar(label, share, chosen.includes(label))));
  return list;
}

function timing(response, startedAt) {
  const header = response.headers.get("server-timing") || "";
  const inModel = /inference;dur=([\d.]+)/.exec(header);
  const whole = Math.max(1, Math.round(performance.now() - startedAt));
  return inModel ? `${Math.max(1, Math.round(inModel[1]))} ms in the model · ${whole} ms in all` : `${whole} ms`;
}

function showAnswer(answer, time) {
  const prediction = answer.predictions[0];
  const chosen = prediction.labels || [prediction.label];
  const pairs = Object.entries(prediction.probabilities).sort((a, b) => b[1] - a[1]);
  const head = element("div", "answer-head");
  const named = chosen.slice(0, NAMED_LABELS).join(", ");
  const others = chosen.length - NAMED_LABELS;
  head.append(
    chosen.length
      ? element("p", "label", others > 0 ? `${named} and ${others} more` : named)
      : element("p", "label none", "No label is likely enough"),
  );
  const meta = element("p", "meta", `${time} · `);
  const link = element("button", "", "copy link");
  link.type = "button";
  link.addEventListener("click", () => copy(`${location.origin}/#${new URLSearchParams(values())}`, link, "copied"));
  meta.append(link);
  head.append(meta);
  const parts = [head];
  for (const warning of answer.warnings || []) {
    parts.push(element("p", "warning", warning.replace(/^texts\[0\]: /, "Long text: ")));
  }
  parts.push(bars(pairs.slice(0, SHOWN_BARS), chosen));
  if (pairs.length > SHOWN_BARS) {
    const rest = element("details", "rest");
    const count = pairs.length - SHOWN_BARS;
    rest.append(element("summary", "", `${count} more`), bars(pairs.slice(SHOWN_BARS), chosen));
    parts.push(rest);
  }
  result.replaceChildren(...parts);
}

function showFailure(message, requestId) {
  const box = element("div", "failure");
  box.append(element("strong", "", message));
  if (requestId) box.append(element("p", "meta", `request ${requestId}`));
  result.replaceChildren(box);
}

async function run() {
  const blank = fields.find((field) => !field.value.trim());
  if (blank) {
    const what = fields.length === 1 ? "There is no text yet" : `There is no ${blank.name} yet`;
    showFailure(`${what}: type or paste one first.`);
    blank.focus();
    return;
  }
  if (running) running.abort();
  const mine = (running = new AbortController());
  for (const part of [button, result]) part.setAttribute("aria-busy", "true");
  const startedAt = performance.now();
  try {
    const response = await fetch("/v1/predict", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ texts: [item()] }),
      signal: mine.signal,
    });
    const answer = await response.json();
    if (response.ok) showAnswer(answer, timing(response, startedAt));
    else showFailure(answer.error.message.replace(/^texts\[0\]\.?/, "").replace(/^: /, ""), answer.error.request_id);
  } catch (error) {
    if (error.name !== "AbortError") showFailure("The server gave no answer. Is it still running?");
  } finally {
    if (running === mine) {
      running = null;
      for (const part of [button, result]) part.removeAttribute("aria-busy");
    }
  }
}

function values() {
  return fields.length === 1
    ? [["text", fields[0].value]]
    : fields.map((field) => [field.name, field.value]);
}

function fill(texts) {
  fields.forEach((field, index) => { field.value = texts[index] ?? ""; });
  showCommand();
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const texts = fields.map((field) => given.get(fields.length === 1 ? "text" : field.name));
  if (texts.some((text) => text)) {
    fill(texts);
    run();
  }
}

async function copy(text, from, said) {
  const before = from.textContent;
  try {
    await navigator.clipboard.writeText(text);
    from.textContent = said;
  } catch {
    from.textContent = "not allowed here";
  }
  setTimeout(() => { from.textContent = before; }, 5 * SETTLE_MS);
}

form.addEventListener("submit", (event) => { event.preventDefault(); run(); });
form.addEventListener("input", showCommand);
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});
for (const example of document.querySelectorAll(".example")) {
  example.addEventListener("click", () => { fill(JSON.parse(example.dataset.values)); run(); });
}
document.getElementById("copy").addEventListener("click", (event) => {
  copy(curl.textContent, event.currentTarget, "Copied");
});
addEventListener("hashchange", readAddress);
showCommand();
readAddress();
