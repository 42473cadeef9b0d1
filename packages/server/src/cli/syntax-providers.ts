import { Argument, type Command } from "commander";
import { presetNames } from "../providers/presets.ts";
import { example, type Run } from "./syntax.ts";

export function addProviderSyntax(program: Command, run: Run): void {
  const provider = program.command("provider").description("whom people can sign in with");
  const load = () => import("./commands/provider.ts");

  const add = provider
    .command("add")
    .addArgument(new Argument("<preset>", "what kind it is").choices([...presetNames]))
    .description("add a provider, and say which redirect URI to register there")
    .requiredOption("--client-id <id>", "the client id that the provider gave you")
    .option("--client-secret-stdin", "take the client secret (Apple: the .p8 key) from the standard input")
    .option("--id <id>", "its name in addresses here (default: the preset's)")
    .option("--label <text>", "what its button says (default: the preset's name)")
    .option("--issuer <url>", "where it is, when it is not where the preset says; oidc needs one")
    .option("--scope <scopes>", "the scopes that are asked for, separated by spaces")
    .option("--trust-email", "what it calls a verified address counts as verified here")
    .option("--no-trust-email", "it does not")
    .option("--keep-tokens", "keep its tokens, sealed, for the application that Keyturn is embedded in")
    .option("--team-id <id>", "Apple: your team")
    .option("--key-id <id>", "Apple: the key's id")
    .option("--authorization-endpoint <url>", "of a provider without discovery that runs elsewhere")
    .option("--token-endpoint <url>", "the same")
    .option("--profile-endpoint <url>", "the same")
    .option("--emails-endpoint <url>", "the same, GitHub's list of addresses")
    .action((preset: string, options, command: Command) =>
      run(command, async (context) => (await load()).add(context, preset, options)),
    );
  example(add, "keyturn provider add google --client-id 123.apps.example --client-secret-stdin < secret.txt");

  const set = provider
    .command("set <id>")
    .description("change what is kept of a provider")
    .option(
      "--keep-tokens",
      "keep its tokens from the next sign-in on, sealed, for the embedding application",
    )
    .option("--no-keep-tokens", "keep none, and delete those that are kept")
    .action((id: string, options, command: Command) =>
      run(command, async (context) => (await load()).set(context, id, options)),
    );
  example(set, "keyturn provider set google --keep-tokens");

  const list = provider
    .command("list")
    .description("the providers, in the order in which they were added")
    .action((_options, command: Command) => run(command, async (context) => (await load()).list(context)));
  example(list, "keyturn provider list");

  const acts = [
    ["show", "one provider: its redirect URI, and how many accounts are connected by it"],
    ["remove", "delete a provider; who is who there is kept for one with the same issuer"],
    ["enable", "let people sign in with a disabled provider again"],
    ["disable", "nobody signs in with it any more; who is signed in stays so"],
  ] as const;
  for (const [verb, about] of acts) {
    const act = provider
      .command(`${verb} <id>`)
      .description(about)
      .action((id: string, _options, command: Command) =>
        run(command, async (context) => (await load())[verb](context, id)),
      );
    example(act, `keyturn provider ${verb} google`);
  }
}
