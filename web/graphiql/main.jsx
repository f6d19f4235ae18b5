// The GraphiQL page: the editor, filled in with what the server put into the page.
import "graphiql/style.css";
import "./page.css";
import "./styles.js";
import "./workers.js";

import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";

import { config } from "./config.js";
import { createFetcher } from "./fetcher.js";
import { storage } from "./storage.js";

const headers = config.token && JSON.stringify({ Authorization: `Bearer ${config.token}` }, null, 2);
const fetcher = createFetcher(headers);

/** GraphiQL names a tab after its operation, so the title goes into the text as a comment. */
const tabs = config.tabs.map(({ title, query, variables }) => ({
  query: title ? `# ${title}\n${query}` : query,
  variables,
  headers,
}));

function Page() {
  return (
    <GraphiQL
      fetcher={fetcher.fetch}
      onEditHeaders={fetcher.onEditHeaders}
      storage={storage}
      // The history plugin, which GraphiQL adds by itself, keeps the headers of what was run.
      plugins={[]}
      shouldPersistHeaders={false}
      showPersistHeadersSettings={false}
      defaultHeaders={headers ?? undefined}
      initialHeaders={headers ?? undefined}
      // GraphiQL shows the first tab's query by itself, and forgets its variables.
      initialVariables={tabs[0]?.variables ?? undefined}
      defaultTabs={tabs.length ? tabs : undefined}
      defaultEditorToolsVisibility={headers ? "headers" : true}
    >
      <GraphiQL.Logo>Client billing portal</GraphiQL.Logo>
    </GraphiQL>
  );
}

createRoot(document.getElementById("graphiql")).render(<Page />);
