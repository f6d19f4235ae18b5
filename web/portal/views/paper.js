/** What the open documents have in common. */

import { el } from "../elements.js";
import { printing } from "./printing.js";

const KINDS = { invoice: "Invoice", statement: "Statement", superbill: "Superbill", receipt: "Receipt" };

/** A document with its number for a title. Throws an error if the viewer has no access to it. */
export function paper(page, id, node, kind, content) {
  if (!node) throw new Error(`There is no such ${kind}.`);
  const back = el("p", {}, el("a", { href: "#/" }, "← Billing & Payments"));
  const title = el("h1", { tabindex: "-1" }, `${KINDS[kind]} ${node.number}`);
  return el("article", { class: "panel paper" }, back, title, printing(page, id, node.document), ...content().flat());
}

export function letterhead({ name, credentials, phone, address }) {
  const { line1, line2, city, region, postalCode } = address ?? {};
  const town = [city, [region, postalCode].filter(Boolean).join(" ")].filter(Boolean).join(", ");
  const [first, ...rest] = [[name, credentials].filter(Boolean).join(", "), line1, line2, town, phone].filter(Boolean);
  return el("address", {}, el("strong", {}, first), ...rest.flatMap((part) => [el("br"), part]));
}

/** A table that scrolls by itself where the screen is narrow; the last columns are amounts. */
export function table(caption, heads, rows, amounts = 1) {
  const isAmount = (index) => index >= heads.length - amounts;
  const cell = (name, text, index, more = {}) =>
    el(name, { class: isAmount(index) ? "amount" : null, ...more }, text ?? "");
  return el(
    "div",
    { class: "scrolling", role: "region", tabindex: "0", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...heads.map((head, index) => cell("th", head, index, { scope: "col" })))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((text, index) => cell("td", text, index))))),
    ),
  );
}
