// Takes the authors' donation links out of a folder's package-lock.json, which should name no host
// at all: `npm run lock` there after a change of its package.json.
import { readFileSync, writeFileSync } from "node:fs";

const file = "package-lock.json";
const lock = JSON.parse(readFileSync(file, "utf8"));
for (const entry of Object.values(lock.packages)) {
  delete entry.funding;
  // npm leaves a registry's address out, but would write one of another source.
  if (entry.resolved) throw new Error(`package-lock.json has an address: ${entry.resolved}`);
}
writeFileSync(file, JSON.stringify(lock, null, 2) + "\n");
