/** Print and Download: a document as PDF, in a tab of its own or as a file. */

import { ask } from "../api.js";
import { el } from "../elements.js";

// The addresses work for ten minutes.
const FRESH_MS = 8 * 60_000;

/** The two links of a document. Those of a page that was left open are asked for anew. */
export function printing(page, id, link) {
  const print = el("a", { class: "button", target: "_blank", rel: "noopener" }, "Print");
  const download = el("a", { class: "button" }, "Download");
  let until = 0;

  function lead({ printUrl, downloadUrl, fileName }) {
    print.href = printUrl;
    download.href = downloadUrl;
    download.download = fileName;
    until = Date.now() + FRESH_MS;
  }

  async function renew(event) {
    if (Date.now() < until) return;
    event.preventDefault();
    const clicked = event.currentTarget;
    try {
      const { node } = await ask("document", { id });
      lead(node.document);
      clicked.click();
    } catch (error) {
      page.notify(error.message);
    }
  }

  lead(link);
  for (const each of [print, download]) each.addEventListener("click", renew);
  return el("p", { class: "actions" }, print, download);
}
