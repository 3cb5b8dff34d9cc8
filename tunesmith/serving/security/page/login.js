// Exchanges a key, or the token of the printed link, for a cookie that no script can read.
"use strict";

const form = document.getElementById("form");
const field = document.getElementById("key");
const result = document.getElementById("result");
const isLogin = location.pathname === "/login";

function show(message) {
  const box = document.createElement("div");
  box.className = "failure";
  const text = document.createElement("strong");
  text.textContent = message;
  box.append(text);
  result.replaceChildren(box);
}

function goOn() {
  if (isLogin) location.replace("/");
  else location.reload();
}

async function signIn(key) {
  const response = await fetch("/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ key }),
  });
  if (response.ok) return "";
  return (await response.json()).error.message;
}

async function isSignedIn() {
  return (await fetch("/openapi.json", { method: "HEAD" })).ok;
}

async function attempt(key, fromLink) {
  try {
    const fault = await signIn(key);
    if (!fault || (fromLink && await isSignedIn())) goOn();
    else show(fromLink ? "This link has been used: it works once. Paste the key instead." : fault);
  } catch {
    show("The server gave no answer. Is it still running?");
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const key = field.value.trim();
  field.value = "";
  if (key) attempt(key, false);
});

// The part behind # never leaves the browser by itself; it is taken out of the address and history.
if (isLogin && location.hash.length > 1) {
  const token = location.hash.slice(1);
  history.replaceState(null, "", "/login");
  attempt(token, true);
}
