import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeNode, type Node } from "./nodes.ts";
import { makePostgres, type PostgresServer } from "./postgres-server.ts";
import { openWire, type Wire } from "./wire.ts";

export type Engine = "sqlite" | "postgres";

/** Two nodes on one database, and the wires between them, their clients and PostgreSQL. */
export interface World {
  readonly engine: Engine;
  readonly folder: string;
  readonly nodes: readonly Node[];
  /** In front of the nodes; clients know its port only. */
  readonly wire: Wire;
  readonly postgres: PostgresServer | undefined;
  /** Between the nodes and PostgreSQL. */
  readonly databaseWire: Wire | undefined;
  /** By which this process looks into the database, past every wire. */
  readonly url: string;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly engine: Engine;
  readonly command: readonly string[];
  readonly graceSeconds: number;
}

const nodeNames = ["node a", "node b"];

export async function makeWorld({ engine, command, graceSeconds }: WorldOptions): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "keyturn-faults-"));
  const closings: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const close = async () => {
    for (const closing of closings.splice(0).reverse()) await closing();
  };
  try {
    const postgres = engine === "postgres" ? await makePostgres() : undefined;
    if (postgres !== undefined) closings.push(() => postgres.remove());
    await postgres?.start();
    const databaseWire = postgres && (await openWire(() => [postgres.port]));
    if (databaseWire !== undefined) closings.push(() => databaseWire.close());
    const nodes: Node[] = [];
    closings.push(() => Promise.all(nodes.map((node) => node.kill())));
    const secret = randomBytes(32).toString("base64url");
    for (const [index, name] of nodeNames.entries()) {
      // On PostgreSQL each is on a machine of its own, with a folder of its own.
      const data = join(folder, engine === "sqlite" ? "data" : `data-${index}`);
      mkdirSync(data, { recursive: true, mode: 0o700 });
      const environment = {
        KEYTURN_ISSUER: "http://localhost:3000",
        KEYTURN_SECRET: secret,
        KEYTURN_LOG_LEVEL: "error",
        KEYTURN_TRUSTED_PROXIES: "1",
        KEYTURN_REFRESH_GRACE_SECONDS: String(graceSeconds),
        // How dear a password hash is, is not what is tried here.
        KEYTURN_PASSWORD_MEMORY_KIB: "7168",
        KEYTURN_PASSWORD_PASSES: "1",
        ...(postgres &&
          databaseWire && {
            KEYTURN_DATABASE: postgres.url.replace(`:${postgres.port}/`, `:${databaseWire.port}/`),
          }),
      };
      nodes.push(
        await makeNode({ name, command, data, clockFile: join(folder, `clock-${index}`), environment }),
      );
    }
    const wire = await openWire(() => nodes.filter((node) => node.isRunning()).map((node) => node.port));
    closings.push(() => wire.close());
    // One after the other: the first makes the database.
    for (const node of nodes) await node.start();
    const url = postgres?.url ?? `sqlite:${join(folder, "data", "keyturn.db")}`;
    return { engine, folder, nodes, wire, postgres, databaseWire, url, close };
  } catch (error) {
    await close();
    throw error;
  }
}
