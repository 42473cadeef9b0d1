import type { ResolvedSettings } from "../../../config.ts";
import type { SigningAlgorithm } from "../../../config-schema.ts";
import { cannotOpen, openPrivateKey } from "../../../keys/open-keys.ts";
import { dueAt, retiredFrom } from "../../../keys/schedule.ts";
import { createSecrets } from "../../../keys/secrets.ts";
import { type KeyRow, selectPublishedKeys } from "../../../keys/signing-keys.sql.ts";
import type { Database } from "../../../storage/database.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

/** A running server does the scheduled work every few seconds. */
const LATE_MS = 10 * 60 * 1000;

interface Given {
  readonly settings: ResolvedSettings;
  readonly masters: readonly Uint8Array[] | undefined;
}

export async function* diagnoseKeys(
  database: Database,
  { settings, masters }: Given,
): AsyncGenerator<Finding> {
  const rows = await database.all<KeyRow>(selectPublishedKeys());
  if (rows.length === 0) {
    yield warn("keys", "there are none yet: the first start makes them");
    return;
  }
  if (masters === undefined) {
    yield fail(
      "keys",
      "they cannot be opened without the master secret that closed them: set KEYTURN_SECRET, or KEYTURN_DATA to its folder",
    );
    return;
  }
  const problems = [
    ...closedKeys(rows, masters),
    ...statesMissing(rows, settings),
    ...workLate(rows, { settings, now: database.clock.now() }),
  ];
  yield* problems;
  if (problems.length === 0) yield ok("keys", `${rows.length} published, all open and in order`);
}

function* closedKeys(rows: readonly KeyRow[], masters: readonly Uint8Array[]): Generator<Finding> {
  const secrets = createSecrets(masters);
  for (const row of rows) {
    const signs = row.state === "current" || row.state === "next";
    if (signs && openPrivateKey(row, secrets) === undefined) yield fail("keys", cannotOpen(row));
  }
}

function* statesMissing(rows: readonly KeyRow[], settings: ResolvedSettings): Generator<Finding> {
  const needed = new Set<SigningAlgorithm>(["ES256", settings.accessTokenAlgorithm]);
  for (const algorithm of needed) {
    for (const state of ["current", "next"] as const) {
      if (rows.some((row) => row.algorithm === algorithm && row.state === state)) continue;
      yield warn("keys", `there is no ${state} ${algorithm} key: the next start makes it`);
    }
  }
}

function* workLate(
  rows: readonly KeyRow[],
  { settings, now }: { settings: ResolvedSettings; now: number },
): Generator<Finding> {
  for (const row of rows) {
    const due =
      row.state === "current"
        ? dueAt(row, settings)
        : row.state === "retiring"
          ? retiredFrom(row, settings)
          : now;
    if (now - due <= LATE_MS) continue;
    const work = row.state === "current" ? "due for rotation" : "due to be retired";
    yield warn(
      "keys",
      `${row.id} (${row.algorithm}) is ${work}: is a server running? It does this by itself`,
    );
  }
}
