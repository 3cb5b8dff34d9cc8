// A field in which to type for a label: a combobox, as the ARIA practices describe it.
import { element, number } from "./row.js";

const MOST = 8;

export class Search {
  constructor(labels, onPick) {
    this.labels = labels.map(([label, count]) => ({ label, count, folded: label.toLowerCase() }));
    this.onPick = onPick;
    this.input = element("input");
    this.input.id = "search";
    this.input.placeholder = "Type to search all labels, or to add one";
    this.input.autocomplete = "off";
    this.input.spellcheck = false;
    for (const [name, value] of Object.entries({
      role: "combobox", "aria-expanded": "false", "aria-controls": "matches",
      "aria-autocomplete": "list", "aria-label": "Search all labels", "aria-keyshortcuts": "/",
    })) this.input.setAttribute(name, value);
    this.list = element("ul", "matches card");
    this.list.id = "matches";
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Labels that match");
    this.list.hidden = true;
    const hint = element("kbd", "", "/");
    hint.setAttribute("aria-hidden", "true");
    this.root = element("div", "search", this.input, hint, this.list);
    this.input.addEventListener("input", () => this.update());
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.input.addEventListener("blur", () => { this.list.hidden = true; });
    // Before the field loses its focus, or the list would be gone.
    this.list.addEventListener("mousedown", (event) => {
      const option = event.target.closest("li");
      event.preventDefault();
      if (option) this.pick(option.dataset.option);
    });
  }

  focus() {
    this.input.focus();
    this.input.select();
    this.input.scrollIntoView({ block: "nearest" });
  }

  clear() {
    this.input.value = "";
    this.update();
  }

  learn(label) {
    if (!this.labels.some((one) => one.label === label)) {
      this.labels.push({ label, count: 0, folded: label.toLowerCase() });
    }
  }

  matches() {
    const wanted = this.input.value.trim().toLowerCase();
    if (!wanted) return [];
    const rank = (one) => (one.folded === wanted ? 0 : one.folded.startsWith(wanted) ? 1 : 2);
    const found = this.labels.filter((one) => one.folded.includes(wanted));
    return found.sort((a, b) => rank(a) - rank(b)).slice(0, MOST);
  }

  update() {
    const typed = this.input.value.trim();
    const found = this.matches();
    const options = found.map((one) => this.option(one.label, element("span", "name", one.label), element("span", "meta", `${number(one.count)} rows`)));
    if (typed && !this.labels.some((one) => one.label === typed)) {
      options.push(this.option(typed, element("span", "name", `“${typed}”`), element("span", "meta", "new label")));
    }
    options.forEach((one, place) => { one.id = `match-${place}`; });
    this.list.replaceChildren(...options);
    this.list.hidden = !options.length;
    this.input.setAttribute("aria-expanded", String(options.length > 0));
    this.activate(0);
  }

  option(label, ...content) {
    const made = element("li", "", ...content);
    made.setAttribute("role", "option");
    made.dataset.option = label;
    return made;
  }

  activate(place) {
    const options = [...this.list.children];
    this.active = options.length ? (place + options.length) % options.length : -1;
    options.forEach((one, at) => one.setAttribute("aria-selected", String(at === this.active)));
    if (this.active >= 0) this.input.setAttribute("aria-activedescendant", `match-${this.active}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  onKey(event) {
    if (event.key === "ArrowDown") this.activate(this.active + 1);
    else if (event.key === "ArrowUp") this.activate(this.active - 1);
    else if (event.key === "Enter" && this.active >= 0) this.pick(this.list.children[this.active].dataset.option);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  pick(label) {
    this.clear();
    this.input.blur();
    this.onPick(label);
  }
}
