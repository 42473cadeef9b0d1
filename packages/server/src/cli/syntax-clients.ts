import { type Command, Option } from "commander";
import { clientAuthenticationMethods, clientTypes, idTokenAlgorithms } from "../config-clients.ts";
import { grantNames } from "./grant-names.ts";
import { example, paged, type Run, repeated } from "./syntax.ts";

export function addClientSyntax(program: Command, run: Run): void {
  const client = program.command("client").description("applications and APIs");
  const load = () => import("./commands/client.ts");

  const add = described(
    client
      .command("add <name>")
      .description("add a client, and say what to configure there; its secret is printed once")
      .option("--id <id>", "its id (default: made of the name)")
      .addOption(
        new Option(
          "--type <type>",
          "what it is: runs on a server, in a browser, on a device; acts for itself; is an API",
        )
          .choices([...clientTypes])
          .makeOptionMandatory(),
      ),
  ).action((name: string, options, command: Command) =>
    run(command, async (context) => (await load()).add(context, name, options)),
  );
  example(
    add,
    'keyturn client add "Web shop" --type web --redirect-uri https://shop.example.com/callback --scope "openid profile"',
  );

  const list = paged(client.command("list").description("the clients, in the order of their ids")).action(
    (options, command: Command) => run(command, async (context) => (await load()).list(context, options)),
  );
  example(list, "keyturn client list");

  const set = described(
    client
      .command("set <id>")
      .description("change what is given; a repeated option replaces the whole list. Its sessions go on")
      .option("--name <name>", "its name"),
  ).action((id: string, options, command: Command) =>
    run(command, async (context) => (await load()).set(context, id, options)),
  );
  example(set, "keyturn client set web-shop-3f9c1a --redirect-uri https://shop.example.com/callback --dpop");

  const acts = [
    ["show", "one client, and what to configure there"],
    ["remove", "delete a client, with its sessions and what people have allowed it"],
    ["secret", "make a new secret, printed once; the old one is refused from then on"],
  ] as const;
  for (const [verb, about] of acts) {
    const act = client
      .command(`${verb} <id>`)
      .description(about)
      .action((id: string, _options, command: Command) =>
        run(command, async (context) => (await load())[verb](context, id)),
      );
    example(act, `keyturn client ${verb} web-shop-3f9c1a`);
  }
  addLogoutsSyntax(client, run);
}

/** What a client may be told to be, whether it is new or not. */
function described(command: Command): Command {
  const choice = (flags: string, about: string, names: readonly string[]) =>
    new Option(flags, about).choices([...names]);
  return command
    .option("--redirect-uri <uri>", "where people are sent back to; may be repeated", repeated)
    .option("--post-logout-redirect-uri <uri>", "the same after signing out; may be repeated", repeated)
    .option("--scope <scopes>", "what it may ask for, separated by spaces; of an API: what it takes")
    .option(
      "--grant <grant>",
      `a way to get tokens, one of ${grantNames.join(", ")}; may be repeated`,
      repeated,
    )
    .addOption(choice("--auth-method <method>", "how it proves who it is", clientAuthenticationMethods))
    .option("--jwks-file <file>", "its public keys, a JWK Set")
    .option("--jwks-uri <url>", "where its public keys are")
    .option(
      "--resource <uri>",
      "of an API: an identifier by which clients ask for it; may be repeated",
      repeated,
    )
    .option("--backchannel-logout-uri <url>", "where it is told that a session is over")
    .option("--trusted", "nobody is asked for consent")
    .option("--no-trusted", "people are asked")
    .addOption(choice("--profile <profile>", "FAPI 2.0, or not", ["default", "fapi2"]))
    .addOption(choice("--id-token-alg <alg>", "what signs its ID tokens", idTokenAlgorithms))
    .option("--pairwise", "people are called otherwise there than elsewhere")
    .option("--no-pairwise", "people are called as everywhere")
    .option("--sector-identifier-uri <url>", "for several hosts that call people alike")
    .option("--require-par", "it has to push its authorization requests")
    .option("--no-require-par", "it need not")
    .option("--dpop", "its tokens are bound to a key of its own")
    .option("--no-dpop", "they need not be")
    .addOption(
      choice("--assertion-audience <audience>", "whom its assertions may be for", ["issuer", "endpoint_too"]),
    )
    .option("--rotation", "its refresh tokens are replaced at each use")
    .option("--no-rotation", "they are not; for one that authenticates")
    .option(
      "--exchange-resource <uri>",
      "for what it may get tokens in exchange for its user's; may be repeated",
      repeated,
    )
    .option("--impersonation", "tokens that it gets in exchange may keep silent about who acts")
    .option("--no-impersonation", "they say so")
    .option("--client-uri <url>", "its home page, shown when people are asked for consent");
}

/** Beside the acts on one client: what its clients were told. */
function addLogoutsSyntax(client: Command, run: Run): void {
  const logouts = paged(
    client
      .command("logouts [id]")
      .description("which clients were, or are still to be, told that a session is over; the newest first"),
  ).action((id: string | undefined, options, command: Command) =>
    run(command, async (context) =>
      (await import("./commands/client-logouts.ts")).list(context, { ...options, clientId: id }),
    ),
  );
  example(logouts, "keyturn client logouts shop");
}
