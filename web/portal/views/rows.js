/** Lists of what there is: a row each, and more on demand. */

import { button, el, link } from "../elements.js";
import { statusWord } from "../words.js";

/** A row: what it is, the words below it, its status and its amount. */
export function row({ name, remark, status, marks = [], amount }) {
  const shown = [status && badge(status), ...marks].filter(Boolean);
  return el(
    "li",
    {},
    el("div", { class: "what" }, el("div", {}, name), remark && el("div", { class: "remark" }, remark)),
    shown.length > 0 && el("div", { class: "marks" }, ...shown),
    amount && el("div", { class: "amount" }, amount),
  );
}

/** What leads to a payment's receipt, where there is one. */
export function receiptLink(receipt) {
  return receipt ? [" · ", link(`/receipts/${receipt.id}`, `receipt ${receipt.number}`)] : [];
}

export function badge(status) {
  return el("span", { class: `badge ${status.toLowerCase()}` }, statusWord(status));
}

export function mark(text, kind = "") {
  return el("span", { class: `badge ${kind}` }, text);
}

/**
 * A list that grows, as elements: the rows of a connection, and a button while there are more.
 * `next(cursor)` asks for the connection that goes on from there.
 */
export function growing({ connection, what, made, next, notify }) {
  if (connection.nodes.length === 0) return [el("p", { class: "empty" }, `No ${what}.`)];
  const list = el("ul", { class: "rows" }, ...connection.nodes.map(made));
  const { hasNextPage, endCursor } = connection.pageInfo;
  if (!hasNextPage) return [list];

  let cursor = endCursor;
  const more = button(`More ${what}`, async () => {
    more.disabled = true;
    try {
      const page = await next(cursor);
      const rows = page.nodes.map(made);
      list.append(...rows);
      cursor = page.pageInfo.endCursor;
      if (!page.pageInfo.hasNextPage) more.remove();
      rows[0]?.setAttribute("tabindex", "-1");
      rows[0]?.focus();
    } catch (error) {
      notify(error.message);
    }
    more.disabled = false;
  });
  return [list, el("p", {}, more)];
}
