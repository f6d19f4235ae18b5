/** Where somebody is signed in, each of which they can end. */

import { ask } from "../api.js";
import { button, el } from "../elements.js";
import { moment } from "../words.js";
import { mark, row } from "./rows.js";

export async function signIns(page) {
  const { viewer } = await ask("sign-ins");
  const rows = viewer.signIns.map((one) => shown(page, one));
  return el(
    "div",
    { class: "paper" },
    el("p", {}, el("a", { href: "#/" }, "← Billing & Payments")),
    el("h1", { tabindex: "-1" }, "Where you are signed in"),
    el("p", { class: "remark" }, "Each ends by itself after 15 minutes without use, and after 12 hours."),
    rows.length > 0
      ? el("ul", { class: "rows panel" }, ...rows)
      : el("p", { class: "empty" }, "Nowhere by mail: this tab has a token."),
  );
}

function shown(page, { id, startedAt, lastUsedAt, isCurrent }) {
  const since = `Since ${moment(startedAt)}`;
  const made = row({
    name: since,
    remark: `last used ${moment(lastUsedAt)}`,
    marks: [isCurrent && mark("This browser", "paid")],
  });
  if (!isCurrent) made.append(el("div", { class: "actions" }, end(page, id, since)));
  return made;
}

function end(page, id, since) {
  const clicked = async (event) => {
    event.target.disabled = true;
    try {
      const { revokeSignIn } = await ask("revoke-sign-in", { input: { id } });
      page.show(revokeSignIn.message ?? "It is signed out.");
    } catch (error) {
      page.notify(error.message);
      event.target.disabled = false;
    }
  };
  return button("Sign it out", clicked, { "aria-label": `Sign it out: ${since}` });
}
