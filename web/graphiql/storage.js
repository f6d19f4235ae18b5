// What GraphiQL may keep in the browser: how the page looks, and nothing that was typed or answered.
//
// GraphiQL would keep queries, variables and, by its history, headers with the credential in them.
// A list of what may be kept stays right when a later GraphiQL keeps more; a list of what may not
// would let that through.

const KEPT = new Set(
  ["theme", "visiblePlugin", "docExplorerFlex", "editorFlex", "secondaryEditorFlex"].map(
    (name) => `graphiql:${name}`,
  ),
);

export const storage = {
  getItem: (key) => (KEPT.has(key) ? localStorage.getItem(key) : null),
  setItem: (key, value) => {
    if (KEPT.has(key)) localStorage.setItem(key, value);
  },
  removeItem: (key) => localStorage.removeItem(key),
  clear: () => KEPT.forEach((key) => localStorage.removeItem(key)),
  get length() {
    return [...KEPT].filter((key) => localStorage.getItem(key) !== null).length;
  },
};
