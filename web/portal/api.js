/** Asking the API: a query is a file of `queries/`, sent as it is. */

const API = "/graphql";
const TOKEN = "token";
const texts = new Map();

/** The server turned a request away; `code` is one of docs/errors.md. */
export class TurnedAway extends Error {
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
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.clear(),
};

/** The data of `queries/<name>.graphql`, asked with these variables. */
export async function ask(name, variables = {}) {
  const response = await post({ query: await text(name), variables });
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
  throw new TurnedAway(error.message, code);
}

async function post(body) {
  const headers = { "Content-Type": "application/json" };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  try {
    return await fetch(API, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new Unanswered("The server is out of reach.");
  }
}

async function text(name) {
  if (!texts.has(name)) {
    const response = await fetch(`queries/${name}.graphql`).catch(() => null);
    if (!response?.ok) throw new Unanswered("The server is out of reach.");
    texts.set(name, await response.text());
  }
  return texts.get(name);
}
