/** Download my record: all that the portal shows, as a ZIP file. */

import { file } from "../api.js";
import { button, el } from "../elements.js";

export function record(page) {
  const clicked = async (event) => {
    event.target.disabled = true;
    page.notify("Gathering your record …");
    try {
      const address = URL.createObjectURL(await file(`/record/${page.client}.zip`));
      el("a", { href: address, download: "record.zip" }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
      page.notify("Your record is downloaded. It contains health information.");
    } catch (error) {
      page.notify(error.message);
    }
    event.target.disabled = false;
  };
  return el(
    "section",
    { class: "panel", "aria-labelledby": "record" },
    el("h2", { id: "record" }, "Your record"),
    el(
      "p",
      { class: "remark" },
      "All bills, documents, payments and the account history in one ZIP file.",
    ),
    button("Download my record", clicked),
  );
}
