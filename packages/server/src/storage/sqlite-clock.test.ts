import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { clockMemory } from "./sqlite-clock.ts";

const bootFile = "/proc/sys/kernel/random/boot_id";
const hasBootId = existsSync(bootFile);
const boot = hasBootId ? readFileSync(bootFile, "utf8").trim() : "";
const skip = !hasBootId && "this system does not tell its starts apart";
const folder = mkdtempSync(join(tmpdir(), "keyturn-test-clock-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("what a process knew of the clock is there for the next one, and nothing else lies about", {
  skip,
}, () => {
  const path = join(folder, "one.db");
  assert.equal(clockMemory(path)?.read(), undefined);
  clockMemory(path)?.write({ distance: 1_800_000_000_000.25, since: 12.5, confirmedAt: 13 });
  assert.deepEqual(clockMemory(path)?.read(), {
    distance: 1_800_000_000_000.25,
    since: 12.5,
    confirmedAt: 13,
  });
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith("one")),
    ["one.db-clock"],
  );
  assert.equal(statSync(`${path}-clock`).mode & 0o777, 0o600);
});

test("what was written before the machine's last start, or is broken, is not used", { skip }, () => {
  const path = join(folder, "two.db");
  for (const text of [
    "",
    "nonsense",
    "null",
    "[]",
    '{"boot":"another","distance":1,"since":1,"confirmedAt":1}',
    '{"distance":1,"since":1,"confirmedAt":1}',
    `{"boot":"${boot}","distance":1,"since":1,"confirmedAt":null}`,
    `{"boot":"${boot}","distance":1e999,"since":1,"confirmedAt":1}`,
    '{"boot":null,"distance":null,"since":1e999}',
  ]) {
    writeFileSync(`${path}-clock`, text);
    assert.equal(clockMemory(path)?.read(), undefined, text);
  }
});

test("a folder that takes no file is no failure", {
  skip: skip || (process.getuid?.() === 0 && "root may write anywhere"),
}, () => {
  chmodSync(folder, 0o500);
  clockMemory(join(folder, "three.db"))?.write({ distance: 1, since: 1, confirmedAt: 1 });
  chmodSync(folder, 0o700);
  assert.equal(clockMemory(join(folder, "three.db"))?.read(), undefined);
});
