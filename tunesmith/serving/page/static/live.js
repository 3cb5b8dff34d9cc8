// The live figures of GET /v1/live, asked for every two seconds while the page is in view.
const { element, milliseconds, shape } = await import(`./dom.js${new URL(import.meta.url).search}`);

const EVERY_MS = 2000;
const KEPT = 60;
const WIDTH = 100;
const HEIGHT = 24;
const FIGURES = [
  ["requests_per_second", "Requests a second", rate],
  ["latency_p50_ms", "Latency, median", time],
  ["latency_p99_ms", "Latency, 99 %", time],
  ["queue_depth", "In the queue", String],
  ["rejects_per_second", "Refused a second", rate],
  ["batch_texts", "Texts a batch", (value) => (value === null ? "–" : value.toFixed(1))],
];
const section = document.getElementById("live");
const list = section.querySelector("dl");
const history = new Map();
let timer = null;

function rate(value) {
  return value > 0 && value < 0.95 ? value.toFixed(1) : String(Math.round(value));
}

function time(value) {
  return value === null ? "–" : milliseconds(value);
}

// A gap in the figures is a gap in the line.
function line(values) {
  const most = Math.max(...values.map((value) => value ?? 0)) || 1;
  let path = "";
  let goesOn = false;
  values.forEach((value, place) => {
    if (value !== null) {
      const x = (WIDTH * (KEPT - values.length + place)) / (KEPT - 1);
      const y = HEIGHT - 1 - ((HEIGHT - 2) * value) / most;
      path += `${goesOn ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      if (!goesOn) path += "h0.01";
    }
    goesOn = value !== null;
  });
  return path;
}

for (const [name, title] of FIGURES) {
  const value = element("strong", "", "–");
  const path = shape("path", { d: "", "vector-effect": "non-scaling-stroke" });
  const plot = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, path);
  list.append(element("div", "", element("dt", "", title), element("dd", "", value, plot)));
  history.set(name, { values: [], value, path });
}

function show(figures) {
  for (const [name, , spelled] of FIGURES) {
    const own = history.get(name);
    own.values.push(figures[name]);
    if (own.values.length > KEPT) own.values.shift();
    own.value.textContent = spelled(figures[name]);
    own.path.setAttribute("d", line(own.values));
  }
  section.hidden = false;
}

async function look() {
  timer = null;
  try {
    const response = await fetch("/v1/live");
    if (response.status === 401 || response.status === 403) return; // signed out: nothing to see any more
    if (response.ok) show(await response.json());
    section.classList.toggle("stale", !response.ok);
  } catch {
    section.classList.add("stale");
  }
  schedule(EVERY_MS);
}

function schedule(wait) {
  if (timer === null && document.visibilityState === "visible") timer = setTimeout(look, wait);
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden" && timer !== null) {
    clearTimeout(timer);
    timer = null;
  }
  schedule(0);
});
schedule(0);
