/** A superbill, open: what a client sends to an insurer for reimbursement. */

import { ask } from "../api.js";
import { el, facts } from "../elements.js";
import { day, money, period } from "../words.js";
import { letterhead, paper, table } from "./paper.js";

const HEADS = ["Date", "CPT", "Modifiers", "Place", "Units", "Diagnoses", "Fee", "Paid"];

export async function superbill(page, id) {
  const { node } = await ask("superbill", { id });
  return paper(page, id, node, "superbill", () => [
    letterhead(node.provider),
    incomplete(node.completeness),
    facts([
      ["Client", node.client.name],
      ["Date of birth", node.client.dateOfBirth && day(node.client.dateOfBirth)],
      ["NPI", node.provider.npi],
      ["Licence", node.provider.licenceNumber],
      ["Tax id ends in", node.provider.taxIdLast4],
      ["Rendering provider", node.renderingProvider?.name],
      ["Rendering provider's NPI", node.renderingProvider?.npi],
      ["Rendering provider's licence", node.renderingProvider?.licenceNumber],
      ["Issued", day(node.issuedOn)],
      ["Period", period(node)],
      ["Fees", money(node.totalFee)],
      ["Paid", money(node.totalPaid)],
    ]),
    table("Diagnoses", ["No.", "ICD-10-CM", "Diagnosis"], node.diagnoses.map(diagnosis), 0),
    table("Visits", HEADS, node.lines.map(line), 2),
  ]);
}

function incomplete({ isComplete, missing }) {
  if (isComplete) return null;
  const gaps = missing.map(({ message, line }) => el("li", {}, line ? `Visit ${line}: ${message}` : message));
  return el("div", { class: "attention" }, el("p", {}, "An insurer may ask for what is missing here:"), el("ul", {}, ...gaps));
}

function diagnosis({ position, code, description }) {
  return [String(position), code, description];
}

function line({ date, cptCode, modifiers, placeOfService, units, diagnosisPointers, fee, paid }) {
  const diagnoses = diagnosisPointers.join(", ");
  return [day(date), cptCode, modifiers.join(" "), placeOfService, units, diagnoses, money(fee), money(paid)];
}
