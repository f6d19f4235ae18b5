/** Asking the API: an operation is a file of `queries/`, and is sent as the id of its text. */

import { IDS } from "./document-ids.js";

const API = "/graphql";
const TOKEN = "token";
// The server has no document of this id: the page was loaded from another release.
const OTHER_RELEASE = "PERSISTED_QUERY_NOT_FOUND";

/** The server turned a request away; `code` is one of docs/errors.md. */
export class TurnedAway extends Error {
  /**
   * @param {string} message
   * @param {string | undefined} code
   */
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** Nobody knows whether the request was read: it can be sent again. */
export class Unanswered extends Error {}

// A token is kept for this tab, and goes when it is closed.
export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  /** @param {string} value */
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.clear(),
};

/**
 * Returns the data of `queries/<name>.graphql`, asked with these variables.
 *
 * @param {string} name
 * @param {Record<string, unknown>} variables
 * @returns {Promise<any>}
 */
export async function ask(name, variables = {}) {
  const response = await post({ documentId: IDS[name], variables });
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Unanswered("The answer was lost on its way.");
  }
  const [error] = answer.errors ?? [];
  if (!error) return answer.data;
  const code = error.extensions?.code;
  if (response.status >= 500 || code === "UNAVAILABLE") throw new Unanswered(error.message);
  if (code === OTHER_RELEASE) throw new TurnedAway("This page is old: load it again.", code);
  throw new TurnedAway(error.message, code);
}

/**
 * Returns whether this server has an address: the sandbox's own pages are in the demo alone.
 *
 * @param {string} address
 */
export async function isServed(address) {
  const response = await fetch(address, { method: "HEAD" }).catch(() => null);
  return response?.ok ?? false;
}

/**
 * Returns the file of an address, which the token opens.
 *
 * @param {string} address
 */
export async function file(address) {
  const headers = { Authorization: `Bearer ${token.get()}` };
  let response;
  try {
    response = await fetch(address, { headers });
    if (response.ok) return await response.blob();
  } catch {
    throw new Unanswered("The server is out of reach.");
  }
  const answer = await response.json().catch(() => ({}));
  const [error] = answer.errors ?? [];
  throw new TurnedAway(error?.message ?? "The file was not sent.", error?.extensions?.code);
}

/** @param {{documentId: string, variables: object}} body */
async function post(body) {
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json" };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  try {
    return await fetch(API, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new Unanswered("The server is out of reach.");
  }
}
