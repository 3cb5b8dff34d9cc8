// Makes the examples point at this server, and sends them from the page.
"use strict";

const EXAMPLE_ORIGIN = "http://localhost:8000";
const SAID_MS = 1250;
const KEY_HEADER = "keyed" in document.documentElement.dataset
  ? '-H "authorization: Bearer $TUNESMITH_KEY" ' : "";

for (const command of document.querySelectorAll(".curl")) {
  command.textContent = command.textContent
    .replace(EXAMPLE_ORIGIN, KEY_HEADER + location.origin);
}

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed here";
    }
    setTimeout(() => { button.textContent = "Copy"; }, SAID_MS);
  });
}

async function send(form, answer) {
  const body = form.elements.namedItem("body");
  const request = { method: form.dataset.method };
  if (body) Object.assign(request, { body: body.value, headers: { "content-type": "application/json" } });
  const response = await fetch(form.dataset.path, request);
  const text = await response.text();
  const isJson = (response.headers.get("content-type") || "").startsWith("application/json");
  const shown = isJson ? JSON.stringify(JSON.parse(text), null, 2) : text;
  answer.textContent = `${response.status} ${response.statusText}\n${shown}`;
}

for (const form of document.querySelectorAll(".try")) {
  const answer = form.parentElement.querySelector(".answer");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.hidden = false;
    try {
      await send(form, answer);
    } catch {
      answer.textContent = "The server gave no answer. Is it still running?";
    }
  });
}
