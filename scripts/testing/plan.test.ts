import assert from "node:assert/strict";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { planJobs } from "./plan.ts";

function repository(files: Record<string, string>) {
  const root = fs.mkdtempSync(path.join(tmpdir(), "keyturn-plan-"));
  for (const [file, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), text);
  }
  return root;
}

test("a file that imports the test database or server, or test code that does, runs once an engine, PostgreSQL last; all others once", (t) => {
  const root = repository({
    "packages/a/src/one.test.ts": 'import { x } from "./one.ts";',
    "packages/a/src/rows.test.ts": 'import { x } from "../storage/test-database.ts";',
    "tests/whole.test.ts": 'import {\n  startServer,\n} from "../packages/a/test-server.ts";',
    "tests/late.test.ts": 'const { x } = await import("./test-server.ts");',
    "tests/words.test.ts": '  ["import "./test-server.ts"]',
    "tests/node_modules/x/other.test.ts": "",
    "tests/fixture.ts": "",
    "tests/rooms.test.ts": 'import { x } from "./test-rooms.ts";',
    "tests/test-rooms.ts":
      'import { x } from "./test-rooms.ts";\nimport { y } from "../storage/test-database.ts";',
    "tests/light.test.ts": 'import { x } from "./test-light.ts";',
    "tests/test-light.ts": "",
    "tests/types.test.ts": 'import type { X } from "./test-server.ts";',
  });
  t.after(() => fs.rmSync(root, { recursive: true }));
  assert.deepEqual(
    planJobs(root, [], ["sqlite", "postgres"]).map(({ file, engine }) => [path.basename(file), engine]),
    [
      ["rows.test.ts", "sqlite"],
      ["late.test.ts", "sqlite"],
      ["rooms.test.ts", "sqlite"],
      ["whole.test.ts", "sqlite"],
      ["one.test.ts", undefined],
      ["light.test.ts", undefined],
      ["types.test.ts", undefined],
      ["words.test.ts", undefined],
      ["rows.test.ts", "postgres"],
      ["late.test.ts", "postgres"],
      ["rooms.test.ts", "postgres"],
      ["whole.test.ts", "postgres"],
    ],
  );
  const some = planJobs(root, ["rows"], ["postgres"]);
  assert.deepEqual(some, [{ file: "packages/a/src/rows.test.ts", engine: "postgres" }]);
});
