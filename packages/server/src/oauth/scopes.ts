import { type Client, isStranger } from "../clients/client.ts";

/** OpenID Connect Core §5.4, §11. */
export const standardScopes = ["openid", "profile", "email", "offline_access"] as const;

/** RFC 6749 §3.3: separated by spaces; the order does not matter. */
export const scopesIn = (text: string | undefined): string[] =>
  text === undefined ? [] : [...new Set(text.split(" ").filter((scope) => scope !== ""))];

export const hasScope = (text: string, scope: string): boolean => scopesIn(text).includes(scope);

/** Whether the one asks for nothing that is not in the other: RFC 6749 §6. */
export const isWithin = (asked: string, granted: string): boolean => {
  const all = new Set(scopesIn(granted));
  return scopesIn(asked).every((scope) => all.has(scope));
};

/** The most that a client may have; undefined: every scope. */
export function scopesAllowed(
  client: Pick<Client, "metadata" | "origin" | "mayAsk">,
): ReadonlySet<string> | undefined {
  if (isStranger(client)) return client.mayAsk && new Set(client.mayAsk);
  return client.metadata.scope === undefined ? undefined : new Set(scopesIn(client.metadata.scope));
}

/**
 * What a client gets of what it asks for. RFC 6749 §3.3: "The authorization server MAY fully or partially ignore the
 * scope requested by the client […]. If the issued access token scope is different […] the authorization server MUST
 * include the "scope" response parameter": every reply of ours has it. When none is asked: what the client is
 * registered for, else `openid`. What the operator has registered is also the most that a client gets; what a client
 * has said of itself is not: programs register with the scopes that they need first, and ask for more when an API tells
 * them to (RFC 6750 §3.1), which the person then agrees to or not.
 * @param known the scopes of the settings and of the APIs that there are
 * @returns separated by spaces; undefined when nothing of it may be granted
 */
export function grantableScope(given: {
  readonly asked: string | undefined;
  readonly client: Pick<Client, "metadata" | "origin" | "mayAsk">;
  readonly known: readonly string[];
}): string | undefined {
  const { asked, client, known } = given;
  const { scope: registered } = client.metadata;
  const exists = new Set<string>([...standardScopes, ...known]);
  const wanted = scopesIn(asked ?? registered ?? "openid");
  const may = scopesAllowed(client);
  const granted = wanted.filter((scope) => exists.has(scope) && (may?.has(scope) ?? true));
  return granted.length === 0 ? undefined : granted.join(" ");
}
