/** Amounts: minor units in, exact decimals out; and what is worked out of sums. */

// ISO 4217: the currencies that don't have two decimals.
const WITHOUT_DECIMALS = new Set(
  "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(" "),
);
const WITH_THREE = new Set("BHD IQD JOD KWD LYD OMR TND".split(" "));
// The smallest charges of cards, where they aren't worth fifty cents.
const SMALLEST_CHARGE = { GBP: 30, JPY: 50 };

export function digits(currency) {
  if (WITHOUT_DECIMALS.has(currency)) return 0;
  return WITH_THREE.has(currency) ? 3 : 2;
}

export function smallestCharge(currency) {
  return SMALLEST_CHARGE[currency] ?? (10 ** digits(currency) / 2 || 1);
}

/** As text: a float isn't exact near the largest amounts. */
export function decimal(minor, places) {
  if (places === 0) return String(minor);
  const text = String(Math.abs(minor)).padStart(places + 1, "0");
  return `${minor < 0 ? "-" : ""}${text.slice(0, -places)}.${text.slice(-places)}`;
}

/** How far an invoice is paid, from what its ledger rows ask for and what was put toward it. */
export function invoiceStatus({ isVoid, billed, paid }) {
  if (isVoid) return "VOID";
  if (billed - paid <= 0) return "PAID";
  return paid > 0 ? "PARTIALLY_PAID" : "UNPAID";
}

/** The charge of Pay Now: the undisputed amount due, less unused credit, which is never added. */
export function payable({ balance, pool }, { allocated, disputed }) {
  const credit = Math.max(-(pool + allocated), 0);
  return Math.max(balance - pool - allocated - disputed - credit, 0);
}

/** The terms of a balance, in their order. */
export function terms({ invoiced, refunded, takenBack, pool, writtenOff, adjusted }, allocated) {
  return {
    INVOICED: invoiced,
    PAID: -(allocated + refunded + takenBack),
    UNALLOCATED_CREDIT: pool + allocated,
    REFUNDED: refunded,
    DISPUTED: takenBack,
    WRITTEN_OFF: writtenOff,
    ADJUSTED: adjusted,
  };
}

/** The first reason against paying the balance; null where there is none. */
export function whyNotPay(viewer, { balance, pool }, { allocated, disputed, isPaying }) {
  if (!viewer.takesCards) return "ONLINE_PAYMENTS_OFF";
  if (viewer.kind !== "CLIENT") return "NO_RIGHT_TO_PAY";
  if (isPaying) return "PAYMENT_IN_PROGRESS";
  if (balance - pool - allocated <= disputed) return "NOTHING_TO_PAY";
  const left = payable({ balance, pool }, { allocated, disputed });
  return left > 0 && left < smallestCharge(viewer.currency) ? "AMOUNT_TOO_SMALL" : null;
}
