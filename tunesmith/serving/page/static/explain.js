// Asks POST /v1/explain why, and shows the words by how much each adds to a label.
const { element, failure, percent, post, withoutPlace } =
  await import(`./dom.js${new URL(import.meta.url).search}`);

const SHADES = 5;
const FAINT = 0.05;
const LISTED_WORDS = 8;

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}

// From −5 (against) to 5 (for); 0 is next to nothing.
function shade(value, most) {
  const share = most ? Math.abs(value) / most : 0;
  return share < FAINT ? 0 : Math.sign(value) * Math.ceil(SHADES * share);
}

function coloured(text, words, most) {
  const characters = Array.from(text); // places are in characters of Unicode
  const shown = element("blockquote", "words");
  shown.dir = "auto";
  let end = 0;
  for (const word of words) {
    shown.append(characters.slice(end, word.start).join(""));
    const level = shade(word.attribution, most);
    const piece = characters.slice(word.start, word.end).join("");
    if (level) {
      const mark = element("span", `${level > 0 ? "for" : "against"}-${Math.abs(level)}`, piece);
      mark.title = signed(word.attribution);
      shown.append(mark);
    } else {
      shown.append(piece);
    }
    end = word.end;
  }
  shown.append(element("span", "unread", characters.slice(end).join("")));
  return shown;
}

function legend(label) {
  const swatch = (className, sign, meaning) =>
    element("span", "", element("span", className, sign), ` ${meaning}`);
  return element(
    "p", "legend note",
    swatch("for-4", " + ", `speaks for ${label}`),
    swatch("against-4", " − ", "speaks against it"),
  );
}

function listed(words, most) {
  const strongest = words.filter((word) => shade(word.attribution, most))
    .sort((a, b) => Math.abs(b.attribution) - Math.abs(a.attribution)).slice(0, LISTED_WORDS);
  if (!strongest.length) return element("p", "note", "No word makes a difference.");
  const list = element("ol", "effects");
  for (const word of strongest) {
    const isFor = word.attribution > 0;
    const fill = element("span", `effect ${isFor ? "for" : "against"}`);
    fill.style.width = `${50 * Math.abs(word.attribution) / most}%`;
    const rail = element("span", "rail", fill);
    rail.setAttribute("aria-hidden", "true");
    const name = element("span", "name", word.text);
    name.title = word.text;
    list.append(element("li", "", name, rail, element("span", "share", signed(word.attribution))));
  }
  return list;
}

function choice(labels, chosen, choose) {
  if (labels.length < 2) return "";
  const select = element("select", "quiet");
  for (const label of labels) select.append(new Option(label, label, false, label === chosen));
  select.addEventListener("change", () => choose(select.value));
  return element("label", "other", element("span", "", "explain "), select);
}

function shown(answer, texts, labels, choose) {
  const found = answer.explanations[0];
  const most = Math.max(0, ...found.words.map((word) => Math.abs(word.attribution)));
  const title = element("h3", "", `Why ${found.label}`, element("span", "share", ` ${percent(found.probability)}`));
  const parts = [element("div", "explained-head", title, choice(labels, found.label, choose))];
  for (const warning of answer.warnings || []) {
    parts.push(element("p", "warning", withoutPlace(warning)));
  }
  for (const [field, text] of texts) {
    if (texts.length > 1) parts.push(element("p", "note", field));
    const own = texts.length > 1 ? found.words.filter((word) => word.field === field) : found.words;
    parts.push(coloured(text, own, most));
  }
  parts.push(
    legend(found.label),
    listed(found.words, most),
    element("p", "note", "What the label’s log-odds lose when the word is left out; 0.7 halves the odds."),
  );
  return parts;
}

// A button that explains an answer; `texts` are pairs of field and text.
export function why(item, texts, labels) {
  const button = element("button", "quiet", "Why?");
  const result = element("div", "explained");
  button.type = "button";
  result.setAttribute("aria-live", "polite");

  async function ask(label) {
    button.disabled = true;
    button.textContent = "Asking…";
    result.setAttribute("aria-busy", "true");
    const hadFocus = result.contains(document.activeElement);
    try {
      const [response, answer] = await post("/v1/explain", { texts: [item], label });
      if (response.ok) {
        result.replaceChildren(...shown(answer, texts, labels, ask));
        button.hidden = true;
        if (hadFocus || document.activeElement === document.body) result.querySelector("select")?.focus();
      } else {
        result.replaceChildren(failure(withoutPlace(answer.error.message), answer.error.request_id));
      }
    } catch {
      result.replaceChildren(failure("The server gave no answer. Is it still running?"));
    }
    button.disabled = false;
    button.textContent = "Why?";
    result.removeAttribute("aria-busy");
  }

  button.addEventListener("click", () => ask(labels[0]));
  return [button, result];
}
