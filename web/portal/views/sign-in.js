/** Signing in, by a token of the demo's. */

import { token } from "../api.js";
import { el, field } from "../elements.js";

export function signIn(done, problem = "") {
  const submitted = (event) => {
    event.preventDefault();
    token.set(new FormData(event.target).get("token").trim());
    done();
  };
  return el(
    "form",
    { class: "panel", onsubmit: submitted },
    el("h1", { tabindex: "-1" }, "Sign in"),
    problem && el("p", { class: "error", role: "alert" }, problem),
    field(
      "Token",
      { name: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false" },
      "One of those that the demo printed when it started. It is kept for this tab only.",
    ),
    el("button", { class: "primary" }, "Sign in"),
  );
}
