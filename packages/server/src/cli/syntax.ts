import { type Command, Option } from "commander";
import type { Context } from "./open.ts";
import type { Outcome } from "./outcome.ts";

/** Runs a command's work with what every command is given. */
export type Run = (command: Command, work: (context: Context) => Promise<Outcome | number>) => Promise<void>;

// Each work is loaded when it is asked for: `serve` starts faster so, and `--help` loads none.

/** The help ends with an example. */
export function example(command: Command, text: string): Command {
  return command.addHelpText("after", `\nExample:\n  ${text}`);
}

export function paged(command: Command): Command {
  return command
    .option("--limit <rows>", "how many rows at most (default: 100)")
    .option("--from <id>", "where the page before ended");
}

export const anyName = "an id, a username or an e-mail address";
export const repeated = (value: string, all: string[] = []) => [...all, value];
const passwordStdin = "take the password from the standard input";

export function addServerSyntax(program: Command, run: Run): void {
  const serve = program
    .command("serve")
    .description("serve until a signal comes; the first start makes secret, keys, database and a first user")
    .option("--port <number>", "the port to listen on; 0 lets the system choose (default: 3000)")
    .option("--host <address>", "the address to listen on (default: 127.0.0.1)")
    .action((_options, command: Command) =>
      run(command, async (context) => (await import("./commands/serve.ts")).serve(context)),
    );
  example(serve, "keyturn serve --port 8080");

  const migrate = program
    .command("migrate")
    .description("bring the database's tables up to this version; a starting server does it too")
    .option("--dry-run", "only list what would be run")
    .option("--servers-stopped", "I have stopped every server: change tables that old ones could not run on")
    .action((options, command: Command) =>
      run(command, async (context) => (await import("./commands/migrate.ts")).migrate(context, options)),
    );
  example(migrate, "keyturn migrate --dry-run");

  const doctor = program
    .command("doctor")
    .description("look for what keeps a server from working; changes nothing")
    .action((_options, command: Command) =>
      run(command, async (context) => (await import("./commands/doctor.ts")).doctor(context)),
    );
  example(doctor, "keyturn doctor");
}

export function addUserSyntax(program: Command, run: Run): void {
  const user = program.command("user").description("people who sign in");
  const load = () => import("./commands/user.ts");

  const add = user
    .command("add <username>")
    .description("add a user; without a password at hand a random one is made and printed once")
    .option("--email <address>", "an e-mail address, which also signs in")
    .option("--email-verified", "somebody has made sure that it is theirs")
    .option("--name <name>", "the person's name")
    .option("--role <role>", "a role; may be repeated", (role: string, all: string[] = []) => [...all, role])
    .option("--password-stdin", passwordStdin)
    .action((username: string, options, command: Command) =>
      run(command, async (context) => (await load()).add(context, username, options)),
    );
  example(
    add,
    'keyturn user add alice --email alice@example.com --name "Alice" --role editor --password-stdin',
  );

  const list = paged(user.command("list").description("the users, the newest first")).action(
    (options, command: Command) => run(command, async (context) => (await load()).list(context, options)),
  );
  example(list, "keyturn user list --limit 20");

  const set = user
    .command("set")
    .argument("<user>", anyName)
    .description(
      "change what is given; sessions go on. A new address counts as one that nobody has confirmed",
    )
    .option("--username <username>", "another name to sign in with")
    .option("--email <address>", "another e-mail address")
    .option("--no-email", "take the address away")
    .option("--email-verified", "somebody has made sure that the address is theirs")
    .option("--no-email-verified", "nobody has")
    .option("--name <name>", "the person's name")
    .option("--no-name", "take it away")
    .action((who: string, options, command: Command) =>
      run(command, async (context) => (await load()).set(context, who, options)),
    );
  example(set, "keyturn user set alice --email alice@example.org --email-verified");

  const acts = [
    ["show", "one user, and how many sessions are alive"],
    ["disable", "end the user's sessions; nobody signs in as this user any more"],
    ["enable", "let a disabled user sign in again"],
    ["remove", "end the user's sessions and delete the user"],
  ] as const;
  for (const [verb, about] of acts) {
    const act = user
      .command(verb)
      .argument("<user>", anyName)
      .description(about)
      .action((who: string, _options, command: Command) =>
        run(command, async (context) => (await load())[verb](context, who)),
      );
    example(act, `keyturn user ${verb} alice`);
  }
  addStorySyntax(user, run);
  addAccessSyntax(user, run);
  addFactorSyntax(user, run);
  addImportSyntax(user, run);
}

function addStorySyntax(user: Command, run: Run): void {
  const story = paged(
    user
      .command("story")
      .argument("<user>", anyName)
      .description("what happened to a user and what they did, in order, from the audit log"),
  ).action((who: string, options, command: Command) =>
    run(command, async (context) => (await import("./commands/story.ts")).story(context, who, options)),
  );
  example(story, "keyturn user story alice --json");
}

/** Second factors: for devices that were lost. */
function addFactorSyntax(user: Command, run: Run): void {
  const load = () => import("./commands/factors.ts");
  const factors = user
    .command("factors")
    .description("a user's passkeys, authenticator app and recovery codes");

  const list = factors
    .command("list")
    .argument("<user>", anyName)
    .description("what second factors a user has")
    .action((who: string, _options, command: Command) =>
      run(command, async (context) => (await load()).list(context, who)),
    );
  example(list, "keyturn user factors list alice");

  const remove = factors
    .command("remove")
    .argument("<user>", anyName)
    .description("take second factors away, after a device was lost; ends the user's sessions")
    .addOption(
      new Option("--kind <kind>", "which").choices(["passkeys", "totp", "all"]).makeOptionMandatory(),
    )
    .option("--keep-sessions", "let the user's sessions go on")
    .action((who: string, options, command: Command) =>
      run(command, async (context) => (await load()).remove(context, who, options)),
    );
  example(remove, "keyturn user factors remove alice --kind all");
}

function addImportSyntax(user: Command, run: Run): void {
  const bring = user
    .command("import <file>")
    .description(
      "bring users along from a file of JSON lines or CSV, - for the standard input; run it again to go on",
    )
    .addOption(
      new Option(
        "--format <format>",
        "what the file is (default: by its name, else by how it begins)",
      ).choices(["csv", "jsonl"]),
    )
    .option("--report <file>", "where the refused lines are named (default: the standard error stream)")
    .option("--ignore <column>", "leave a column out; may be repeated", repeated)
    .option("--dry-run", "look at every line and change nothing")
    .action((file: string, options, command: Command) =>
      run(command, async (context) =>
        (await import("./commands/user-import.ts")).importFile(context, file, options),
      ),
    );
  example(bring, "keyturn user import users.csv --report refused.jsonl --dry-run");
}

/** What a user may do, and by what they prove who they are. */
function addAccessSyntax(user: Command, run: Run): void {
  const load = () => import("./commands/user.ts");

  const password = user
    .command("password")
    .argument("<user>", anyName)
    .description("set a password and end the user's sessions; a random one is made if none is given")
    .option("--password-stdin", passwordStdin)
    .option("--keep-sessions", "let the user's sessions go on")
    .action((who: string, options, command: Command) =>
      run(command, async (context) => (await load()).password(context, who, options)),
    );
  example(password, "keyturn user password alice --password-stdin < password.txt");

  const roles = user
    .command("roles")
    .argument("<user>", anyName)
    .argument("[roles...]", "the roles that the user has from now on")
    .description("set a user's roles, in place of those before")
    .option("--none", "take all roles away")
    .action((...[who, wanted, options, command]: [string, string[], { none?: boolean }, Command]) =>
      run(command, async (context) => (await load()).roles(context, who, { wanted, ...options })),
    );
  example(roles, "keyturn user roles alice editor auditor");
}

export function addSessionSyntax(program: Command, run: Run): void {
  const session = program.command("session").description("what is signed in");
  const load = () => import("./commands/session.ts");

  const list = paged(session.command("list").description("the sessions that are alive, the newest first"))
    .option("--user <user>", `of this user only: ${anyName}`)
    .option("--all", "those that are over too, as long as they are kept")
    .action((options, command: Command) =>
      run(command, async (context) => (await load()).list(context, options)),
    );
  example(list, "keyturn session list --user alice");

  const revoke = session
    .command("revoke [sid]")
    .description(
      "end a session, or all of a user, a client or everybody; running servers and guards hear of it within a second",
    )
    .option("--user <user>", "all sessions of this user")
    .option("--client <id>", "all sessions of this client")
    .option("--everybody", "all sessions there are: everybody signs in again")
    .action((id: string | undefined, options, command: Command) =>
      run(command, async (context) => (await load()).revoke(context, id, options)),
    );
  example(revoke, "keyturn session revoke --user alice");

  const acts = [
    ["show", "one session"],
    ["explain", "a session's life: why somebody was signed out"],
  ] as const;
  for (const [verb, about] of acts) {
    const act = session
      .command(`${verb} <sid>`)
      .description(about)
      .action((id: string, _options, command: Command) =>
        run(command, async (context) => (await load())[verb](context, id)),
      );
    example(act, `keyturn session ${verb} 0192f7a4-5b3c-7d1e-8f00-2a4b6c8d0e1f`);
  }
}

export function addKeySyntax(program: Command, run: Run): void {
  const key = program.command("key").description("keys that sign tokens");
  const load = () => import("./commands/key.ts");

  const list = key
    .command("list")
    .description("the keys, those in use first")
    .action((_options, command: Command) => run(command, async (context) => (await load()).list(context)));
  example(list, "keyturn key list");

  const rotate = key
    .command("rotate")
    .description("let the next key sign, and make a new next one")
    .option("--now", "do not wait until verifiers know the next key: for a key that leaked")
    .action((options, command: Command) =>
      run(command, async (context) => (await load()).rotate(context, options)),
    );
  example(rotate, "keyturn key rotate");

  const withdraw = key
    .command("withdraw <kid>")
    .description("publish a key that no longer signs no more: for a key that leaked; its tokens are refused")
    .action((id: string, _options, command: Command) =>
      run(command, async (context) => (await load()).withdraw(context, id)),
    );
  example(withdraw, "keyturn key withdraw pXk3vQm0Yw1bq7u8m2cV5rJt9aLsDfGhZxCvBnMqWeR");
}
