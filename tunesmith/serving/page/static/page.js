// Sends what is in the form to POST /v1/predict and draws the answer.
const { search } = new URL(import.meta.url); // the digest of all scripts, so that none is stale
const { element, failure, milliseconds, ofModel, percent, post, withoutPlace } = await import(`./dom.js${search}`);
const { why } = await import(`./explain.js${search}`);

const NAMED_LABELS = 3;
const SHOWN_BARS = 10;
const SAID_MS = 1250;
const form = document.getElementById("form");
const fields = [...form.querySelectorAll("textarea")];
const button = document.getElementById("run");
const result = document.getElementById("result");
const curl = document.getElementById("curl");
const keyHeader = "keyed" in document.documentElement.dataset
  ? " \\\n  -H \"authorization: Bearer $TUNESMITH_KEY\"" : "";
let running = null;

function item() {
  if (fields.length === 1) return fields[0].value;
  return Object.fromEntries(fields.map((field) => [field.name, field.value]));
}

function showCommand() {
  const example = fields.every((field) => field.value.trim())
    ? item()
    : fields.length === 1 ? "Your text" : Object.fromEntries(fields.map((field) => [field.name, "Your text"]));
  const body = JSON.stringify({ texts: [example], ...ofModel }).replaceAll("'", "'\\''");
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

function copyLink() {
  const link = element("button", "", "copy link");
  link.type = "button";
  const text = `${location.origin}/#${new URLSearchParams(values())}`;
  link.addEventListener("click", () => copy(text, link, "copied"));
  return link;
}

// Where the time went, and who answered.
function facts(response, answer, startedAt) {
  const whole = Math.max(0.1, performance.now() - startedAt);
  const header = response.headers.get("server-timing") || "";
  const [queue, inference] = ["queue", "inference"]
    .map((stage) => Number(new RegExp(`${stage};dur=([\\d.]+)`).exec(header)?.[1] ?? NaN));
  const parts = [];
  if ((response.headers.get("cache-status") || "").includes("; hit")) parts.push("from the cache");
  else if (!Number.isNaN(inference)) parts.push(`queue ${milliseconds(queue)}`, `model ${milliseconds(inference)}`);
  parts.push(`whole ${milliseconds(whole)}`, `version ${answer.model.version}`, result.dataset.runtime);
  return element("p", "meta", ...parts.map((part) => element("span", "", part)), copyLink());
}

// What the answer says of itself beside the label, where it does.
function remarks(prediction) {
  const found = [];
  if (prediction.abstained) found.push("The model is too unsure: better leave this one to a person.");
  if (prediction.in_scope === false) found.push("This is unlike the texts that the model was trained on.");
  if (prediction.label_set) {
    const set = prediction.label_set.join(", ") || "none of the labels";
    found.push(`Labels that cannot be ruled out: ${set}`);
  }
  return found;
}

function headline(chosen) {
  if (!chosen.length) return element("p", "label none", "No label is likely enough");
  const others = chosen.length - NAMED_LABELS;
  const named = chosen.slice(0, NAMED_LABELS).join(", ");
  return element("p", "label", others > 0 ? `${named} and ${others} more` : named);
}

function allBars(pairs, chosen) {
  const parts = [bars(pairs.slice(0, SHOWN_BARS), chosen)];
  if (pairs.length > SHOWN_BARS) {
    const summary = element("summary", "", `${pairs.length - SHOWN_BARS} more`);
    parts.push(element("details", "rest", summary, bars(pairs.slice(SHOWN_BARS), chosen)));
  }
  return parts;
}

function showAnswer(response, answer, asked, startedAt) {
  const prediction = answer.predictions[0];
  const chosen = prediction.labels || [prediction.label];
  const pairs = Object.entries(prediction.probabilities).sort((a, b) => b[1] - a[1]);
  const said = [...(answer.warnings || []).map((text) => `Long text: ${withoutPlace(text)}`), ...remarks(prediction)];
  result.replaceChildren(
    element("div", "answer-head", headline(chosen), facts(response, answer, startedAt)),
    ...said.map((text) => element("p", "warning", text)),
    ...allBars(pairs, chosen),
    ...why(asked.item, asked.texts, pairs.map(([label]) => label)),
  );
}

function showFailure(message, requestId) {
  result.replaceChildren(failure(message, requestId));
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
  const asked = { item: item(), texts: fields.map((field) => [field.name, field.value]) };
  const startedAt = performance.now();
  try {
    const [response, answer] = await post("/v1/predict", { texts: [asked.item] }, mine.signal);
    if (response.ok) showAnswer(response, answer, asked, startedAt);
    else showFailure(withoutPlace(answer.error.message), answer.error.request_id);
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
  setTimeout(() => { from.textContent = before; }, SAID_MS);
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

document.getElementById("leave")?.addEventListener("click", async () => {
  await fetch("/login", { method: "DELETE" });
  location.replace("/login");
});
