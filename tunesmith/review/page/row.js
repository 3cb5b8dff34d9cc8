// Draws a row. All that comes from the data is set with textContent: nothing is ever read as HTML.

const NAMES = {
  "suspected-label-errors": "Suspected label",
  "conflicting-labels": "Conflicting labels",
  "near-duplicates": "Near-duplicate",
  "exact-duplicates": "Copy",
  "outliers": "Outlier",
};
const DONE = { keep: "Kept", relabel: "Relabelled", drop: "Dropped" };

export function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content.filter((one) => one !== null && one !== undefined));
  return made;
}

export function checkName(check) {
  const words = check.replaceAll("-", " ");
  return NAMES[check] || words.charAt(0).toUpperCase() + words.slice(1);
}

export function percent(share) {
  if (share > 0 && share < 0.005) return "< 1 %";
  if (share < 1 && share > 0.995) return "> 99 %";
  return `${Math.round(100 * share)} %`;
}

export function number(value) {
  return value.toLocaleString("en-US");
}

function key(name) {
  const made = element("kbd", "", name);
  made.setAttribute("aria-hidden", "true");
  return made;
}

export function action(what, name, keys, className) {
  const made = element("button", `action ${className || ""}`.trim(), element("span", "", name), key(keys));
  made.type = "button";
  made.dataset.do = what;
  made.setAttribute("aria-keyshortcuts", keys);
  return made;
}

function labels(given) {
  if (given === null) return [element("span", "none", "no label")];
  if (!given.length) return [element("span", "none", "no labels")];
  return given.map((label) => element("span", "tag", label));
}

function badge(decision) {
  if (!decision) return element("span", "badge open", "undecided");
  const after = Array.isArray(decision.after) ? decision.after.join(", ") || "no labels" : decision.after;
  return element("span", `badge ${decision.action}`, DONE[decision.action], decision.action === "relabel" ? ` → ${after}` : "");
}

function texts(view, className) {
  const box = element("div", className);
  for (const one of view.texts) {
    if (view.texts.length > 1) box.append(element("p", "column", one.name));
    const text = element("p", one.text.trim() ? "text" : "text none", one.text.trim() ? one.text : "empty");
    text.dir = "auto";
    box.append(text);
  }
  return box;
}

function reasons(view, review) {
  if (!view.reasons.length) return element("p", "note", "No check has flagged this row.");
  const list = element("ul", "reasons");
  for (const reason of view.reasons) {
    const finding = review.findings[reason.finding];
    const why = element("span", "why", finding.message);
    const line = element("summary", "", element("strong", "", checkName(finding.check)), " ", why);
    const more = element("p", "note", `What to do: ${finding.fix}`);
    list.append(element("li", finding.severity, element("details", "", line, more)));
  }
  return list;
}

function standing(view, review) {
  const line = element("div", "standing", element("span", "what", review.target || "label"), ...labels(view.labels));
  if (view.suggestion) {
    const arrow = element("span", "arrow", "→");
    arrow.setAttribute("aria-label", "suggested:");
    line.append(arrow, element("span", "tag suggested", view.suggestion.label));
    const share = view.suggestion.probability;
    line.append(element("span", "meta", share === null ? "as most of its like" : `wrong with ${percent(share)}`));
  }
  return line;
}

export function choice(one, place, review, chosen) {
  const made = element("button", "choice", key(String(place + 1)), element("span", "name", one.label));
  made.type = "button";
  made.title = one.label;
  made.dataset.label = one.label;
  made.setAttribute("aria-keyshortcuts", String(place + 1));
  if (one.probability !== null) made.append(element("span", "meta", percent(one.probability)));
  if (review.several) made.setAttribute("aria-pressed", String(chosen.has(one.label)));
  return made;
}

function beside(view, review, decisions) {
  if (!view.beside.length) return null;
  const list = element("ol", "beside");
  for (const other of view.beside) {
    const jump = element("button", "jump", `Row ${number(other.row)}`);
    jump.type = "button";
    jump.dataset.row = String(other.row);
    const decision = decisions.get(other.row);
    const head = element("p", "head", jump, ...labels(other.labels), decision ? badge(decision) : null);
    list.append(element("li", "", head, texts(other, "texts")));
  }
  const title = element("h2", "", "Beside it");
  const left = view.num_beside - view.beside.length;
  const more = left > 0 ? element("p", "note", `and ${number(left)} more`) : null;
  return element("section", "", title, list, more);
}

export function drawRow(view, review, decisions, chosen) {
  const decision = decisions.get(view.row);
  const title = element("h2", "", `Row ${number(view.row)}`);
  title.id = "row-title";
  const card = element("article", `card row-card${decision ? ` is-${decision.action}` : ""}`);
  card.id = "row";
  card.tabIndex = -1;
  card.setAttribute("aria-labelledby", "row-title");
  card.append(
    element("div", "row-head", title, badge(decision)),
    reasons(view, review),
    texts(view, "texts main-text"),
    standing(view, review),
  );
  const actions = element("div", "actions");
  if (review.several) actions.append(action("save", "Save labels", "Enter", "primary"));
  else if (view.suggestion) actions.append(action("accept", `Accept ${view.suggestion.label}`, "Enter", "primary"));
  actions.append(action("keep", "Keep", "k"), action("drop", "Drop", "d"), action("undo", "Undo", "u", "last"));
  return [card, actions, review.target ? drawLabels(view, review, chosen) : null, beside(view, review, decisions)];
}

function drawLabels(view, review, chosen) {
  const grid = element("div", "choices", ...view.choices.map((one, place) => choice(one, place, review, chosen)));
  const section = element("section", "", element("h2", "", review.several ? "Labels of the row" : "Another label"), grid);
  if (review.several) {
    const rest = [...chosen].filter((label) => !view.choices.some((one) => one.label === label));
    for (const label of rest) {
      const made = element("button", "choice", element("span", "name", label));
      made.type = "button";
      made.dataset.label = label;
      made.setAttribute("aria-pressed", "true");
      grid.append(made);
    }
  }
  section.setAttribute("aria-label", "Labels");
  return section;
}
