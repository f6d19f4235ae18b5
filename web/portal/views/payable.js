/** The invoices that make up what Pay Now charges, with the credit that comes off. */

import { facts } from "../elements.js";
import { money } from "../words.js";

/**
 * @param {{payable: Money, creditApplied: Payable, invoices: {amountDue: Money, invoice: {number: string} | null}[]}} balance
 */
export function payableLines({ payable, creditApplied, invoices }) {
  /** @type {[string, string][]} */
  const lines = invoices.map(({ amountDue, invoice }) => [
    invoice ? `Invoice ${invoice.number}` : "An invoice that is not shared yet",
    money(amountDue),
  ]);
  if (creditApplied.minorUnits !== 0) {
    const credit = { amount: `-${creditApplied.amount}`, currency: creditApplied.currency };
    lines.push(["Less unused credit", money(credit)]);
  }
  return facts([...lines, ["Due now", money(payable)]]);
}

/**
 * The amount due of an invoice, and the part of it that Pay Now charges.
 *
 * @param {{number: string, amountDue: Money, payable: Money}} invoice
 */
export function invoiceLines({ number, amountDue, payable }) {
  const hasCredit = amountDue.amount !== payable.amount;
  return facts([
    [`Invoice ${number}`, money(amountDue)],
    [hasCredit ? "Due now, less unused credit" : "Due now", money(payable)],
  ]);
}
