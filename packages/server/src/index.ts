/**
 * Keyturn embedded in a Node process.
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Guard } from "@keyturn/guard";
import type { CurrentSession } from "./account-api/current-session.ts";
import { createApp, type LocalGuardOptions } from "./app.ts";
import type { Clients } from "./clients/clients.ts";
import type { ResolvedSettings } from "./config.ts";
import type { SettingsInput } from "./config-schema.ts";
import { fetchHandler } from "./fetch-handler.ts";
import type { Hooks } from "./hooks.ts";
import type { SigningKeys } from "./keys/signing-keys.ts";
import type { KeptTokens } from "./providers/kept-tokens.ts";
import type { Grants } from "./roles/grants.ts";
import type { Roles } from "./roles/roles.ts";
import type { ConnectionInfo } from "./routes.ts";
import { nodeHandler } from "./server.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { Users } from "./users/users.ts";

export type { CurrentSession } from "./account-api/current-session.ts";
export type { LocalGuardOptions } from "./app.ts";
export type { AuditEvent, StoredAuditEvent } from "./audit/events.ts";
export type { Client, ClientMetadata, ClientType } from "./clients/client.ts";
export type { ClientUpdate, NewClient } from "./clients/clients.ts";
export { type ResolvedSettings, WrongSetting } from "./config.ts";
export type { SettingsInput } from "./config-schema.ts";
export type { Hooks } from "./hooks.ts";
export type { KeyRecord, RotateOutcome } from "./keys/signing-key.ts";
export type { ProviderTokens, ProviderTokensFound } from "./providers/kept-tokens.ts";
export type { Role } from "./roles/roles.ts";
export type { ConnectionInfo } from "./routes.ts";
export type { Session } from "./sessions/session.ts";
export { DatabaseUnavailable } from "./storage/database.ts";
export type { User } from "./users/user.ts";

/** Keyturn, running in this process. */
export interface Keyturn {
  /** The settings with every default filled in. */
  readonly settings: ResolvedSettings;
  /**
   * Answers a request whose path begins at Keyturn's own root (`/login`) or at the path of the issuer
   * (`/auth/login` for an issuer `https://example.com/auth`). The second argument carries the caller's address,
   * which the limits against guessing and the device list need: what @hono/node-server passes fits.
   */
  readonly fetch: (request: Request, connection?: ConnectionInfo) => Response | Promise<Response>;
  /** The same for node:http and Express: `app.use("/auth", keyturn.nodeHandler)`, before any body parser. */
  readonly nodeHandler: (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>;
  /** A guard in this process for the settings' audience. It follows revocations without a network. */
  readonly guard: Guard;
  /** A guard in this process for another audience, or with metadata of its own. Close it when it is no longer needed. */
  createGuard(audience: string | readonly string[], options?: LocalGuardOptions): Guard;
  /**
   * Who is signed in in the browser that sent this request, and an access token for APIs: for pages that are rendered
   * in the same process. Undefined for nobody; and for a request that would change something and does not come from
   * a page of this origin or of `allowedOrigins`, so that a form of another site is nobody's.
   */
  session(request: Request | IncomingMessage): Promise<CurrentSession | undefined>;
  readonly users: Users;
  /** What roles allow, and who has them. */
  readonly roles: Roles & Pick<Grants, "grant" | "revoke">;
  readonly sessions: Sessions;
  /** Applications that ask for tokens, and APIs that accept them. */
  readonly clients: Pick<Clients, "add" | "find" | "list" | "update" | "remove" | "newSecret">;
  /**
   * Tokens of a user at a provider, where the operator keeps them (`keyturn provider set ID --keep-tokens`): to call the
   * provider's APIs for the user. Renewed when they are about to end.
   */
  readonly providerTokens: Pick<KeptTokens, "find">;
  readonly keys: Pick<SigningKeys, "list" | "rotate">;
  /** Lets what is under way end, then closes the database. */
  close(): Promise<void>;
}

/**
 * Starts Keyturn inside this process: opens its database and brings it up to date, opens its keys.
 * @throws WrongSetting, DatabaseUnavailable with one sentence that says what to do
 */
export async function createKeyturn(
  settings: SettingsInput = {},
  options: { readonly hooks?: Hooks } = {},
): Promise<Keyturn> {
  const app = await createApp(settings, options);
  const fetch = fetchHandler(app);
  return {
    settings: app.settings,
    fetch,
    nodeHandler: nodeHandler(app, fetch),
    guard: app.guard,
    createGuard: app.localGuard,
    session: app.sessionOf,
    users: app.users,
    roles: { ...app.roles, grant: app.grants.grant, revoke: app.grants.revoke },
    sessions: app.sessions,
    clients: app.clients,
    providerTokens: { find: app.keptTokens.find },
    keys: app.signingKeys,
    close: app.close,
  };
}
