/** Money, days and the server's words, as a person reads them. */

/**
 * `{ amount: "-12.50", currency: "USD" }` as "$12.50 CR": below zero it is a credit.
 *
 * @param {Money} money
 */
export function money({ amount, currency }) {
  const isCredit = amount.startsWith("-");
  const text = unsigned(isCredit ? amount.slice(1) : amount, currency);
  return isCredit ? `${text} CR` : text;
}

/**
 * As `money`, with a sign: what an entry of the history moved the balance by.
 *
 * @param {Money} money
 */
export function signed({ amount, currency }) {
  const isNegative = amount.startsWith("-");
  return `${isNegative ? "−" : ""}${unsigned(isNegative ? amount.slice(1) : amount, currency)}`;
}

/**
 * The text is formatted as it is: a decimal text never becomes a float here.
 *
 * @param {string} amount
 * @param {string} currency
 */
function unsigned(amount, currency) {
  return new Intl.NumberFormat(undefined, { style: "currency", currency }).format(/** @type {Intl.StringNumericLiteral} */ (amount));
}

/**
 * "2026-03-15" as "Mar 15, 2026". A day has no time zone, so none is applied.
 *
 * @param {string} date
 */
export function day(date) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
  return format.format(new Date(`${date}T00:00:00Z`));
}

/**
 * An instant, in the reader's own time zone.
 *
 * @param {string} instant
 */
export function moment(instant) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(new Date(instant));
}

/**
 * Of an instant, the time of day.
 *
 * @param {string} instant
 */
export function time(instant) {
  return new Intl.DateTimeFormat(undefined, { timeStyle: "short" }).format(new Date(instant));
}

/** @param {{periodStart: string, periodEnd: string}} document */
export function period({ periodStart, periodEnd }) {
  return `${day(periodStart)} to ${day(periodEnd)}`;
}

/** @type {Record<string, string>} */
const STATUSES = {
  UNPAID: "Unpaid",
  PARTIALLY_PAID: "Partially paid",
  PAID: "Paid",
  VOID: "Void",
  PENDING: "Pending",
  FAILED: "Failed",
  REFUNDED: "Refunded",
  DISPUTED: "Disputed",
  CHARGED_BACK: "Charged back",
  UNINVOICED: "Not invoiced",
  PROCESSING: "Processing",
  REQUIRES_ACTION: "Waiting for you",
};

/** @type {Record<string, string>} */
const REASONS = {
  AMOUNT_TOO_SMALL: "The amount is too small for a card. It is carried to your next bill.",
  NOTHING_TO_PAY: "There is nothing to pay.",
  NO_RIGHT_TO_PAY: "You can see these bills, but not pay them.",
  PAYMENT_IN_PROGRESS: "A payment is under way.",
};

/** @type {Record<string, string>} */
const BRANDS = {
  AMEX: "American Express",
  DINERS: "Diners Club",
  DISCOVER: "Discover",
  JCB: "JCB",
  MASTERCARD: "Mastercard",
  OTHER: "Card",
  UNIONPAY: "UnionPay",
  VISA: "Visa",
};

/** @type {Record<string, string>} */
const METHODS = {
  CARD: "Card",
  CASH: "Cash",
  CHECK: "Check",
  BANK_TRANSFER: "Bank transfer",
  INSURANCE: "Insurance",
  CREDIT: "Unused credit",
  OTHER: "Other",
};

/** @param {string} status */
export const statusWord = (status) => STATUSES[status] ?? status;
/** @param {string} code */
export const reasonWord = (code) => REASONS[code] ?? null;
/** @param {string} method */
export const methodWord = (method) => METHODS[method] ?? method;

/** @param {{brand: string, last4: string}} card */
export function cardName({ brand, last4 }) {
  return `${BRANDS[brand] ?? brand} ending in ${last4}`;
}

/** @param {{expMonth: number, expYear: number}} card */
export function expiry({ expMonth, expYear }) {
  return `${String(expMonth).padStart(2, "0")}/${expYear}`;
}

/**
 * Says why something failed.
 *
 * @param {unknown} error
 */
export function reason(error) {
  return error instanceof Error ? error.message : String(error);
}
