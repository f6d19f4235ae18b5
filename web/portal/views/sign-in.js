/** Signing in: by a link that comes by mail, and in the demo by a token too. */

import { isServed, token } from "../api.js";
import { el, field } from "../elements.js";
import { requested } from "../signing-in.js";
import { time } from "../words.js";

// The demo's mail goes nowhere: the sandbox shows it.
const MAIL = "/sandbox/mail";

export async function signIn(done, problem = "") {
  const isDemo = await isServed(MAIL);
  return el("div", {}, byMail(isDemo, problem), isDemo && byToken(done));
}

function byMail(isDemo, problem) {
  const wrong = el("p", { class: "error", role: "alert" }, problem);
  const submitted = async (event) => {
    event.preventDefault();
    const form = event.target;
    const email = new FormData(form).get("email").trim();
    try {
      const expiresAt = await requested(email);
      form.replaceWith(sent(email, expiresAt, isDemo));
      document.querySelector("h1").focus();
    } catch (error) {
      wrong.textContent = error.message;
    }
  };
  return el(
    "form",
    { class: "panel", onsubmit: submitted },
    el("h1", { tabindex: "-1" }, "Sign in"),
    wrong,
    field(
      "E-mail address",
      { name: "email", type: "email", required: true, autocomplete: "email" },
      "The one that your practice knows. You get a link to sign in with.",
    ),
    el("button", { class: "primary" }, "Send me a link"),
  );
}

/** The same whether the address is known. */
function sent(email, expiresAt, isDemo) {
  return el(
    "section",
    { class: "panel narrow" },
    el("h1", { tabindex: "-1" }, "Look into your mail"),
    el("p", {}, `If a practice knows ${email}, a link is on its way to it. `, el("strong", {}, "Open it in this browser.")),
    el("p", {}, `It works once, until ${time(expiresAt)}. When no mail comes, look among the unwanted, or ask your practice which address it has.`),
    isDemo && el("p", {}, el("a", { href: MAIL, target: "_blank" }, "The demo's mail")),
    el("p", {}, el("a", { href: "", class: "button" }, "Another address")),
  );
}

function byToken(done) {
  const submitted = (event) => {
    event.preventDefault();
    token.set(new FormData(event.target).get("token").trim());
    done();
  };
  return el(
    "form",
    { class: "panel", onsubmit: submitted },
    field(
      "Token",
      { name: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false" },
      "Or one of those that the demo printed when it started. It is kept for this tab only.",
    ),
    el("button", {}, "Sign in with the token"),
  );
}
