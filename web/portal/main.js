/** The portal page: who is signed in, and which view the address asks for. */

import { ask, token, TurnedAway } from "./api.js";
import { button, el } from "./elements.js";
import { entered, left } from "./signing-in.js";
import { invoice } from "./views/invoice.js";
import { newCard } from "./views/new-card.js";
import { overview } from "./views/overview.js";
import { payBalance, payInvoice } from "./views/pay.js";
import { receipt } from "./views/receipt.js";
import { signIn } from "./views/sign-in.js";
import { signIns } from "./views/sign-ins.js";
import { statement } from "./views/statement.js";
import { superbill } from "./views/superbill.js";

const VIEWS = [
  [/^\/$/, overview],
  [/^\/pay$/, payBalance],
  [/^\/invoices\/([\w-]+)$/, invoice],
  [/^\/invoices\/([\w-]+)\/pay$/, payInvoice],
  [/^\/statements\/([\w-]+)$/, statement],
  [/^\/superbills\/([\w-]+)$/, superbill],
  [/^\/receipts\/([\w-]+)$/, receipt],
  [/^\/new-card$/, newCard],
  [/^\/sign-ins$/, signIns],
];
// Where the link of a mail leads to.
const ARRIVAL = /^#\/sign-in\/(\w+)$/;

const CLIENT = "client";
const header = document.getElementById("header");
const main = document.getElementById("main");
const notice = document.getElementById("notice");

let viewer = null;
let shown = 0;

/**
 * What a view may do beside being shown. `range`: of the account history; null is the default.
 * `said`: what the next view is to say.
 */
const page = {
  client: null,
  range: null,
  said: "",
  notify,
  show,

  /** Goes to another view, and says something there. */
  go(address, message = "") {
    if (location.hash === `#${address}`) show(message);
    else {
      page.said = message;
      location.hash = address;
    }
  },
};

function notify(message) {
  notice.textContent = message;
}

/** Shows the view of the address; a newer call wins over one that still waits for its data. */
async function show(message = "") {
  const turn = (shown += 1);
  main.setAttribute("aria-busy", "true");
  let content;
  try {
    content = await found();
  } catch (error) {
    content = await failed(error);
  }
  if (turn !== shown) return;
  main.replaceChildren(content);
  main.removeAttribute("aria-busy");
  notify(message);
  const title = main.querySelector("h1");
  document.title = title ? `${title.textContent} · Billing & Payments` : "Billing & Payments";
  if (turn > 1) (title ?? main).focus();
}

/** What the address asks for, of who is signed in or signs in with it. */
async function found() {
  const [, secret] = ARRIVAL.exec(location.hash) ?? [];
  if (secret) {
    const problem = await entered(secret);
    // It has done its work, and has no business in the history.
    history.replaceState(null, "", "#/");
    if (problem) return signIn(signedIn, problem);
    viewer = null;
  }
  return token.get() ? view() : signIn(signedIn);
}

async function view() {
  if (!viewer) await recognise();
  const address = location.hash.slice(1) || "/";
  for (const [pattern, made] of VIEWS) {
    const found = pattern.exec(address);
    if (found) return made(page, ...found.slice(1));
  }
  return missing();
}

async function recognise() {
  const answer = await ask("viewer");
  if (answer.viewer.clients.length === 0) {
    throw new TurnedAway("There is no client whose bills you may see here: ask the practice.", "NO_CLIENT");
  }
  viewer = answer.viewer;
  const kept = sessionStorage.getItem(CLIENT);
  page.client = viewer.clients.some(({ id }) => id === kept) ? kept : viewer.clients[0].id;
  showHeader();
}

/** Continues as somebody else who has the same address in this practice. */
async function continueAs(id) {
  try {
    const { switchViewer } = await ask("switch-viewer", { input: { id } });
    viewer = page.client = page.range = null;
    sessionStorage.removeItem(CLIENT);
    page.go("/", switchViewer.message ?? "");
  } catch (error) {
    notify(error.message);
  }
}

function signedIn() {
  viewer = null;
  show();
}

async function signOut() {
  const message = await left();
  token.forget();
  viewer = page.client = page.range = null;
  header.replaceChildren();
  history.replaceState(null, "", "#/");
  show(message);
}

function showHeader() {
  const { name, practice } = viewer.clients.find(({ id }) => id === page.client);
  const whose =
    viewer.clients.length > 1
      ? el(
          "label",
          {},
          "Billing of ",
          el(
            "select",
            { onchange: (event) => look(event.target.value) },
            ...viewer.clients.map(({ id, name }) => el("option", { value: id, selected: id === page.client }, name)),
          ),
        )
      : el("span", {}, name);
  header.replaceChildren(
    el("a", { class: "practice", href: "#/" }, practice.name),
    el("div", { class: "who" }, identities(), whose, el("a", { href: "#/sign-ins" }, "Sign-ins"), button("Sign out", signOut)),
  );
}

/** The people whom the sign-in is of, where they are several. */
function identities() {
  if (viewer.identities.length < 2) return null;
  const named = ({ name, kind }) => (kind === "CONTACT" ? `${name}, for others` : name);
  const options = viewer.identities.map((one) => el("option", { value: one.id, selected: one.isCurrent }, named(one)));
  return el("label", {}, "Signed in as ", el("select", { onchange: (event) => continueAs(event.target.value) }, ...options));
}

function look(client) {
  sessionStorage.setItem(CLIENT, client);
  page.client = client;
  page.range = null;
  showHeader();
  page.go("/");
}

function missing() {
  return el("div", {}, heading("Not found"), el("p", {}, "There is no such page. ", el("a", { href: "#/" }, "Back")));
}

/** What is shown where a view has no data: its reason, and what can be done. */
async function failed(error) {
  if (error.code === "UNAUTHENTICATED" || error.code === "NO_CLIENT") {
    const over = viewer ? "You are signed in no more. Sign in again." : "The token doesn't work, or no more. Sign in again.";
    token.forget();
    viewer = null;
    header.replaceChildren();
    return signIn(signedIn, error.code === "NO_CLIENT" ? error.message : over);
  }
  console.error(error);
  return el(
    "div",
    {},
    heading("That didn't work"),
    el("p", {}, error.message),
    el("p", {}, button("Try again", () => show())),
  );
}

function heading(text) {
  return el("h1", { tabindex: "-1" }, text);
}

// The address is the view's, so the skip link leaves it as it is.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => {
  const said = page.said;
  page.said = "";
  show(said);
});
show();
