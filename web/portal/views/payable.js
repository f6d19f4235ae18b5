/** The invoices that make up what Pay Now charges, with the credit that comes off. */

import { facts } from "../elements.js";
import { money } from "../words.js";

/**
 * @param {{payable: Money, creditApplied: Payable, invoices: {amountDue: Money, invoice: {number: string} | null}[]}} balance
 */
export function payableLines({ payable, creditApplied, invoices }) {
  const bills = invoices.map(({ amountDue, invoice }) => [
    invoice ? `Invoice ${invoice.number}` : "An invoice that is not shared yet",
    money(amountDue),
  ]);
  const credit = { amount: `-${creditApplied.amount}`, currency: creditApplied.currency };
  const less = creditApplied.minorUnits === 0 ? [] : [["Less unused credit", money(credit)]];
  return facts([...bills, ...less, ["To pay now", money(payable)]]);
}
