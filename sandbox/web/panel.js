/** The sandbox's page: shows its state, and does what its buttons say. */

const EVERY_MS = 2000;
const OPEN = ["needs_response", "under_review"];
let last = "";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.flat());
  return made;
}

function table(name, heads, rows) {
  const head = element("tr", {}, heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((cells) => element("tr", {}, cells.map((cell) => element("td", {}, cell ?? ""))));
  const whole = element("table", {}, element("thead", {}, head), element("tbody", {}, body));
  const none = element("p", {}, "Nothing yet.");
  const attributes = { class: "scrolling", role: "region", tabindex: "0", "aria-label": name };
  document.getElementById(name).replaceChildren(rows.length ? element("div", attributes, whole) : none);
}

function button(text, action, facts) {
  const made = element("button", { type: "button", "aria-label": `${text}: ${facts.id}` }, text);
  made.addEventListener("click", async () => {
    made.disabled = true;
    const body = JSON.stringify(facts);
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(`actions/${action}`, { method: "POST", headers, body });
    const { error } = await response.json();
    document.getElementById("notice").textContent = error ? error.message : `Done: ${text} ${facts.id}.`;
    made.disabled = false;
    await show();
  });
  return made;
}

function payment({ id, amount, currency, status, refunds, disputes }) {
  const back = refunds.reduce((sum, one) => sum + (one.status === "succeeded" ? one.amount : 0), 0);
  const does = [];
  if (status === "requires_action") {
    does.push(button("Approve 3-D Secure", "authenticate", { id, succeed: true }));
    does.push(button("Fail 3-D Secure", "authenticate", { id, succeed: false }));
  }
  // A declined payment has a charge as well, which nobody can refund or dispute.
  const isPaid = status === "succeeded";
  const isDisputed = disputes.some((one) => one.status !== "won");
  if (isPaid && !isDisputed && back < amount) {
    does.push(button("Refund", "refund", { id }));
    const half = Math.floor((amount - back) / 2);
    if (half > 0) does.push(button("Refund half", "refund", { id, amount: half }));
  }
  if (isPaid && disputes.length === 0) does.push(button("Dispute", "dispute", { id }));
  const since = [
    ...refunds.map((one) => line(`refund of ${one.amount}: ${one.status}`, one.status === "succeeded" && [
      button("Fail the refund", "fail", { id: one.id }),
    ])),
    ...disputes.map((one) => line(`dispute of ${one.amount}: ${one.status}`, OPEN.includes(one.status) && [
      button("Practice wins", "close", { id: one.id, succeed: true }),
      button("Cardholder wins", "close", { id: one.id, succeed: false }),
    ])),
  ];
  return [id, `${amount} ${currency}`, status, since, does];
}

function line(text, does) {
  return element("div", {}, `${text} `, ...(does || []));
}

function event({ id, type, about, created, tries }) {
  const state = tries === null ? "taken" : `waits, tried ${tries} times`;
  return [time(created), type, about, state, button("Send again", "again", { id })];
}

function call({ method, path, account, key, params }) {
  return [`${method} ${path}`, account, key, element("code", {}, JSON.stringify(params))];
}

function time(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString();
}

async function show() {
  const text = await (await fetch("state")).text();
  if (text === last) return;
  last = text;
  const { cards, payments, events, journal } = JSON.parse(text);
  table("payments", ["Id", "Minor units", "Status", "Since", "Do"], payments.map(payment));
  table("events", ["At", "Event", "About", "State", "Do"], events.map(event));
  table("journal", ["Call", "Account", "Idempotency key", "Parameters"], journal.map(call));
  table("cards", ["Number", "What it does"], cards.map(({ number, does }) => [number, does]));
}

await show();
setInterval(() => show().catch(() => {}), EVERY_MS);
