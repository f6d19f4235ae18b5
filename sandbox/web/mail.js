/** The sandbox's mail, the newest first; what looks like a link is one. */

const EVERY_MS = 1000;
let last = "";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.flat());
  return made;
}

function mail({ to, subject, text, created }) {
  const at = new Date(created * 1000).toLocaleTimeString();
  const parts = text.split(/(https?:\/\/\S+)/);
  const words = parts.map((part, n) => (n % 2 ? element("a", { href: part }, part) : part));
  return element(
    "article",
    {},
    element("h2", {}, subject),
    element("p", {}, `To ${to}, at ${at}`),
    element("pre", {}, words),
  );
}

async function show() {
  const text = await (await fetch("mails")).text();
  if (text === last) return;
  last = text;
  const mails = JSON.parse(text);
  const none = element("p", {}, "Nothing yet.");
  document.getElementById("mails").replaceChildren(...(mails.length ? mails.map(mail) : [none]));
}

await show();
setInterval(() => show().catch(() => {}), EVERY_MS);
