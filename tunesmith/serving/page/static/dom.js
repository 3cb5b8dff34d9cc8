// What the page's scripts share. All that comes from outside is set as text: nothing is read as HTML.

export function element(tag, className, ...parts) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...parts);
  return made;
}

export function shape(tag, attributes, ...parts) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...parts);
  return made;
}

export function percent(share) {
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  if (share < 1 && share >= 0.9995) return "> 99.9 %";
  return `${(100 * share).toFixed(1)} %`;
}

export function milliseconds(time) {
  if (time > 0 && time < 0.05) return "< 0.1 ms";
  return time < 9.95 ? `${time.toFixed(1)} ms` : `${Math.round(time)} ms`;
}

export function failure(message, requestId) {
  const box = element("div", "failure", element("strong", "", message));
  if (requestId) box.append(element("p", "meta", `request ${requestId}`));
  return box;
}

// The server names the text in its messages; here there is only one.
export function withoutPlace(message) {
  return message.replace(/^texts\[0\]\.?/, "").replace(/^: /, "");
}

// Where a server has several models, which of them this page is about.
export const ofModel = "model" in document.documentElement.dataset
  ? { model: document.documentElement.dataset.model } : {};

export async function post(path, body, signal) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...body, ...ofModel }),
    signal,
  });
  return [response, await response.json()];
}
