// How GraphiQL asks: one POST an operation, with the headers of the editor and nothing else
// that the browser may hold.

/** Makes the fetcher; `initial` is the text that the headers editor starts with, or null. */
export function createFetcher(initial) {
  let edited = false;
  return {
    /** GraphiQL calls this at each change of the headers editor. */
    onEditHeaders() {
      edited = true;
    },

    /** Answers with the response's JSON, whatever its status: a refusal is an answer to show. */
    async fetch({ query, variables, operationName }, { headers } = {}) {
      // GraphiQL asks for the schema before the headers editor is there, and so without headers.
      const ours = headers ?? (edited || !initial ? {} : JSON.parse(initial));
      const response = await fetch("/graphql", {
        method: "POST",
        credentials: "omit",
        cache: "no-store",
        redirect: "error",
        headers: {
          Accept: "application/graphql-response+json, application/json",
          "Content-Type": "application/json",
          ...ours,
        },
        body: JSON.stringify({ query, variables, operationName }),
      });
      const text = await response.text();
      try {
        return JSON.parse(text);
      } catch {
        const message = `HTTP ${response.status}, and no JSON: ${text.slice(0, 200)}`;
        return { errors: [{ message }] };
      }
    },
  };
}
