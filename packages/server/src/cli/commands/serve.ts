import { addFirstAdmin, type FirstAdmin } from "../../admin/commands/first-admin.ts";
import type { App } from "../../app.ts";
import type { ResolvedSettings } from "../../config.ts";
import { createLog } from "../../observability/log.ts";
import { isLoopback } from "../../primitives/loopback.ts";
import { bind, listen, type RunningServer } from "../../server.ts";
import { openDatabase } from "../../storage/open.ts";
import { version } from "../../version.ts";
import { databaseName } from "../database-name.ts";
import { firstSteps } from "../first-steps.ts";
import type { Context } from "../open.ts";
import { loadSettings } from "../settings.ts";
import { catchSignals } from "../signals.ts";
import { progress } from "../terminal.ts";

/**
 * Serves until a signal comes. The first SIGINT or SIGTERM lets requests under way end; the second ends at once.
 * @returns the exit code
 * @throws DatabaseTooNew when a newer Keyturn has made tables meanwhile that this one cannot serve from
 */
export async function serve(context: Context): Promise<number> {
  const { terminal } = context;
  const signals = catchSignals(() => {
    terminal.stderr.write(
      "keyturn: stopping; requests under way may end. The same signal again stops at once.\n",
    );
  });
  const { promise: outdated, resolve: onOutdated } = Promise.withResolvers<Error>();
  try {
    const started = await start(context, onOutdated);
    announce(context, started);
    const reason = await Promise.race([signals.received, outdated]);
    await started.running.stop();
    // In the words of a start that is refused.
    if (reason !== undefined) throw reason;
    return 0;
  } finally {
    signals.release();
  }
}

interface Started {
  readonly app: App;
  readonly running: RunningServer;
  readonly admin: FirstAdmin | undefined;
}

async function start({ terminal, sources }: Context, onOutdated: (error: Error) => void): Promise<Started> {
  const { settings, input, hooks } = await loadSettings(sources);
  // The port first: it may be taken, and where the system chooses it, the issuer is named after it.
  const bound = await bind(settings);
  let app: App | undefined;
  try {
    const log = createLog(settings);
    // The database's own thread starts while this one loads the rest: that is a fifth of a start.
    const database = openDatabase({ url: settings.database, log });
    database.catch(() => undefined);
    const { createApp } = await import("../../app.ts");
    const migrating = progress(terminal);
    app = await createApp(
      { ...input, port: bound.port },
      {
        log,
        database,
        hooks,
        onOutdated,
        onMigration: ({ version: number, name }) => migrating.say(`Migrated the database: ${number} ${name}`),
      },
    );
    migrating.end();
    const admin = await addFirstAdmin(app);
    return { app, running: await listen(app, bound), admin };
  } catch (error) {
    bound.server.close();
    bound.server.closeAllConnections();
    await app?.close();
    throw error;
  }
}

function announce({ terminal, json }: Context, { app, running, admin }: Started): void {
  const { settings } = app;
  const { issuer } = settings;
  const url = addressOf(running);
  const database = databaseName(settings.database);
  if (json) {
    const firstAdmin = admin && { username: admin.user.username, password: admin.password };
    const facts = { version, url, port: running.port, issuer, database, ...(firstAdmin && { firstAdmin }) };
    terminal.stdout.write(`${JSON.stringify(facts, null, 2)}\n`);
  } else {
    if (admin !== undefined) terminal.stdout.write(`${firstSteps(admin, issuer)}\n`);
    terminal.stdout.write(`Keyturn ${version} listens on ${url} (issuer ${issuer}, ${database})\n`);
  }
  if (isForDevelopment(settings)) {
    terminal.stderr.write(
      `keyturn: the issuer ${issuer} is for development only, and its session cookie has no __Host- prefix. Set KEYTURN_ISSUER to an https address for anything else.\n`,
    );
  }
}

function isForDevelopment({ issuer }: Pick<ResolvedSettings, "issuer">): boolean {
  const url = new URL(issuer);
  return url.protocol === "http:" && isLoopback(url.hostname);
}

function addressOf({ host, port }: { host: string; port: number }): string {
  const shown =
    host === "127.0.0.1" || host === "::1" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `http://${shown}:${port}`;
}
