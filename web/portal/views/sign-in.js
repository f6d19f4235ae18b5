/** Signing in: by the link or the code of a mail, and in the demo by a token too. */

import { isServed, token } from "../api.js";
import { el, field } from "../elements.js";
import { requested, typed } from "../signing-in.js";
import { time } from "../words.js";

// The demo's mail goes nowhere: the sandbox shows it.
const MAIL = "/sandbox/mail";

export async function signIn(done, problem = "") {
  const isDemo = await isServed(MAIL);
  return el("div", {}, byMail(isDemo, problem, done), isDemo && byToken(done));
}

function byMail(isDemo, problem, done) {
  const wrong = el("p", { class: "error", role: "alert" }, problem);
  const submitted = async (event) => {
    event.preventDefault();
    const form = event.target;
    const email = new FormData(form).get("email").trim();
    try {
      const request = await requested(email);
      form.replaceWith(request.nextMailAt ? notSent(email, request, isDemo) : sent(email, request, isDemo, done));
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
      "The one that your practice knows. You get a mail with a link and a code.",
    ),
    el("button", { class: "primary" }, "Send me a mail"),
  );
}

/** The same words whether or not the address is known. */
function sent(email, request, isDemo, done) {
  return waiting(
    isDemo,
    el("p", {}, `If a practice knows ${email}, a mail is on its way to it. `, el("strong", {}, "Open its link in this browser"), ", or type its code here."),
    byCode(request.nonce, done),
    el("p", {}, `Both work once, until ${time(request.expiresAt)}. When no mail comes, look among the unwanted, or ask your practice which address it has.`),
  );
}

/** The same words whether or not mails were sent. */
function notSent(email, { nextMailAt }, isDemo) {
  return waiting(
    isDemo,
    el("p", { role: "status" }, `No other mail was sent: several were asked for ${email} of late. `, el("strong", {}, "Open the link of the newest one in this browser.")),
    el("p", {}, `Another mail can be sent from ${time(nextMailAt)} on. When you have none, ask your practice which address it has.`),
  );
}

function waiting(isDemo, ...parts) {
  return el(
    "section",
    { class: "panel narrow" },
    el("h1", { tabindex: "-1" }, "Look into your mail"),
    ...parts,
    isDemo && el("p", {}, el("a", { href: MAIL, target: "_blank" }, "The demo's mail")),
    el("p", {}, el("a", { href: "", class: "button" }, "Another address")),
  );
}

function byCode(nonce, done) {
  const wrong = el("p", { class: "error", role: "alert" });
  const submitted = async (event) => {
    event.preventDefault();
    const code = new FormData(event.target).get("code");
    try {
      const problem = await typed(code, nonce);
      if (problem) wrong.textContent = problem;
      else done();
    } catch (error) {
      wrong.textContent = error.message;
    }
  };
  return el(
    "form",
    { onsubmit: submitted },
    wrong,
    field("Code", { name: "code", required: true, inputmode: "numeric", autocomplete: "one-time-code", maxlength: "12" }),
    el("button", { class: "primary" }, "Sign in with the code"),
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
