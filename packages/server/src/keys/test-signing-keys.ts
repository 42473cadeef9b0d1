import type { TestContext } from "node:test";
import { createAudit } from "../audit/audit.ts";
import type { SigningAlgorithm } from "../config-schema.ts";
import type { Database } from "../storage/database.ts";
import { openDatabase } from "../storage/open.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import { NODE_RELOAD_SECONDS } from "./schedule.ts";
import { createSecrets, type Secrets } from "./secrets.ts";
import { createSigningKeys } from "./signing-keys.ts";

/** Nodes that share the rows of signing keys, and a clock. */

export const SECOND = 1000;
export const DAY = 24 * 60 * 60 * SECOND;
export const START = 1_800_000_000_000;
export const JWKS_CACHE = 300 * SECOND;
export const READY = JWKS_CACHE + NODE_RELOAD_SECONDS * SECOND;

export const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
export const secretsOfFirst = createSecrets([first]);

export interface House {
  readonly test: TestDatabase;
  readonly clock: { time: number; now(): number };
  readonly logged: string[];
  /** A node: a process that serves the same rows. */
  node(options?: NodeOptions): ReturnType<typeof createSigningKeys>;
  /** A node with a connection of its own. */
  remoteNode(options?: NodeOptions): Promise<ReturnType<typeof createSigningKeys>>;
}

interface NodeOptions {
  secrets?: Secrets;
  algorithm?: SigningAlgorithm;
  database?: Database;
}

export async function openHouse(t: TestContext): Promise<House> {
  const test = await openTestDatabase();
  const others: Database[] = [];
  t.after(async () => {
    for (const database of others) await database.close();
    await test.close();
  });
  const clock = { time: START, now: () => clock.time };
  const logged: string[] = [];
  const log = {
    info: (facts: object, text: string) => logged.push(`${text} ${JSON.stringify(facts)}`),
    error: (facts: object, text: string) => logged.push(`${text} ${JSON.stringify(facts)}`),
  };
  const node = ({
    secrets = secretsOfFirst,
    algorithm = "ES256",
    database = test.database,
  }: NodeOptions = {}) =>
    createSigningKeys({
      database,
      secrets,
      clock,
      log,
      settings: {
        accessTokenAlgorithm: algorithm,
        signingKeyDays: 90,
        jwksCacheSeconds: JWKS_CACHE / SECOND,
        idTokenSeconds: 600,
      },
    });
  return {
    test,
    clock,
    logged,
    node,
    async remoteNode(options) {
      const database = await openDatabase({ url: test.url });
      others.push(database);
      return node({ ...options, database });
    },
  };
}

export async function started(house: House, options?: NodeOptions) {
  const keys = house.node(options);
  await keys.start();
  return keys;
}

export const count = (records: readonly { state: string }[], state: string) =>
  records.filter((record) => record.state === state).length;

export async function eventTypes(database: Database): Promise<string[]> {
  const events = await createAudit({ database }).list({});
  return events.map((event) => `${event.actor} ${event.type}`).reverse();
}
