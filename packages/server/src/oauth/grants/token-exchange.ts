import { auditStatement } from "../../audit/audit.ts";
import { type Client, isConfidential } from "../../clients/client.ts";
import { Refusal } from "../../errors.ts";
import type { Parameters } from "../../http/parameters.ts";
import type { Clock } from "../../primitives/clock.ts";
import { limits } from "../../primitives/limits.ts";
import type { RightsReader } from "../../sessions/rights.ts";
import type { Standing, Standings } from "../../sessions/standing.ts";
import type { Database } from "../../storage/database.ts";
import type { Actor, OwnToken, OwnTokens } from "../../tokens/own-tokens.ts";
import type { Issuing, TokenReply } from "../issuing.ts";
import { identifiersOf, type Resources } from "../resources.ts";
import { isWithin, scopesIn, standardScopes } from "../scopes.ts";
import type { Grant, GrantRequest } from "./grant.ts";

/** RFC 8693 §3. An access token of ours is both. */
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const ours: readonly string[] = [ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt"];

interface Dependencies {
  readonly ownTokens: OwnTokens;
  readonly standings: Standings;
  readonly resources: Pick<Resources, "find">;
  readonly rights: RightsReader;
  readonly issuing: Issuing;
  readonly database: Database;
  readonly settings: { readonly audience: string };
  readonly clock: Clock;
}

interface Alive {
  readonly token: OwnToken;
  readonly standing: Extract<Standing, { standing: "good" }>;
}

/**
 * RFC 8693: an API that was called with a user's token gets one for the next API, in which it is named as the one who
 * acts. What it gets is never more than what it was called with: not in scope, not in time; and it hangs on the session
 * of the subject, so that whoever ends that ends this.
 */
export function tokenExchangeGrant(parts: Dependencies): Grant {
  const { issuing, rights, database, settings, clock } = parts;

  async function handle(request: GrantRequest): Promise<TokenReply> {
    const { client, parameters, dpopThumbprint, ip } = request;
    // Whoever has only an id to show could exchange whatever token it finds.
    if (!isConfidential(client)) throw new Refusal("unauthorized_client");
    checkRequested(parameters);
    const subject = await aliveToken(parameters, "subject_token", parts);
    checkAllowed(request, subject.token, settings.audience);
    const actor = await actorOf(client, { parameters, subject: subject.token, parts });
    const resources = await targetsOf(client, { parameters, subject: subject.token, parts });
    const scope = scopeOf(client, { asked: parameters.get("scope"), subject: subject.token });
    const { token, standing } = subject;
    const { sessionId } = token;
    const event = {
      type: "token.exchanged",
      actor: "client",
      userId: standing.kind === "service" ? undefined : standing.userId,
      sessionId,
      clientId: client.id,
      ip,
      detail: { of: token.clientId, resources: resources.join(" "), scope, actor: actor?.sub ?? null },
    } as const;
    await database.batch([auditStatement(clock.now(), event)]);
    const isPerson = standing.kind !== "service";
    const { amr, auth_time } = token.claims as { amr?: readonly string[]; auth_time?: number };
    return issuing.issue({
      client,
      session: {
        sessionId,
        userId: standing.userId,
        amr: amr ?? [],
        authenticatedAt: (auth_time ?? token.issuedAt) * 1000,
        expiresAt: Math.min(token.expiresAt * 1000, standing.expiresAt),
        rights: isPerson ? await rights.of(sessionId, resources.join(" ")) : undefined,
      },
      subject: token.subject,
      actor,
      resources,
      scope,
      keyThumbprint: dpopThumbprint,
      issuedTokenType: ACCESS_TOKEN,
    });
  }

  return {
    type: "urn:ietf:params:oauth:grant-type:token-exchange",
    parameters: {
      subject_token: {
        about: "For token exchange: the access token of the one on whose behalf, RFC 8693 §2.1",
      },
      subject_token_type: { about: ACCESS_TOKEN },
      actor_token: { about: "An access token of the client's own, of the one who acts" },
      actor_token_type: { about: ACCESS_TOKEN },
      requested_token_type: { about: `${ACCESS_TOKEN}, which is the default` },
      audience: { about: "As resource, RFC 8693 §2.1; may be repeated" },
    },
    refusals: ["invalid_request", "unauthorized_client", "invalid_scope", "invalid_target", "access_denied"],
    handle,
  };
}

/** RFC 8693 §2.2.2: what is wrong with the tokens is `invalid_request`. */
const refuse = (description: string) => new Refusal("invalid_request", { description });

function checkRequested(parameters: Parameters): void {
  const requested = parameters.get("requested_token_type");
  if (requested !== undefined && !ours.includes(requested)) {
    throw refuse(`Tokens of that requested_token_type are not issued; ask for ${ACCESS_TOKEN}.`);
  }
}

async function aliveToken(
  parameters: Parameters,
  name: "subject_token" | "actor_token",
  { ownTokens, standings }: Dependencies,
): Promise<Alive> {
  const text = parameters.get(name);
  if (text === undefined) throw refuse(`${name} is missing.`);
  if (!ours.includes(parameters.get(`${name}_type`) ?? ""))
    throw refuse(`${name}_type takes ${ACCESS_TOKEN}.`);
  const token = ownTokens.read(text);
  const standing = token && (await standings.of(token));
  if (token === undefined || standing?.standing !== "good") {
    throw refuse(`The ${name} is no access token of this issuer, or it has expired or was revoked.`);
  }
  return { token, standing };
}

/** Whose tokens a client may exchange: those that it was called with, and its own. */
function checkAllowed({ client, dpopThumbprint }: GrantRequest, token: OwnToken, audience: string): void {
  const isOwn = token.clientId === client.id;
  const names = [client.id, ...identifiersOf(client, audience)];
  if (!isOwn && !token.audience.some((one) => names.includes(one))) {
    throw new Refusal("access_denied", {
      description: "The subject_token was issued to another client, for another resource than this client.",
    });
  }
  // Who was called with a bound token has seen its proof and has not its key; whoever it was issued to has it.
  if (isOwn && token.keyThumbprint !== undefined && token.keyThumbprint !== dpopThumbprint) {
    throw new Refusal("invalid_dpop_proof", {
      description: "The subject_token is bound to a key: send a proof by it.",
    });
  }
}

/**
 * RFC 8693 §4.1: who acts, and within it who acted before. Without an actor_token that is the client. Undefined: the
 * operator lets the client impersonate (§1.1), and nobody acted before.
 */
async function actorOf(
  client: Client,
  { parameters, subject, parts }: { parameters: Parameters; subject: OwnToken; parts: Dependencies },
): Promise<Actor | undefined> {
  const before = subject.actor;
  if (parameters.get("actor_token") === undefined) {
    // §2.1: actor_token_type "MUST NOT be included when the actor_token parameter is not present".
    if (parameters.get("actor_token_type") !== undefined) throw refuse("actor_token is missing.");
    if (client.metadata.keyturn_may_impersonate === true) return before;
    return chained({ sub: client.id, act: before });
  }
  const { token } = await aliveToken(parameters, "actor_token", parts);
  if (token.clientId !== client.id) throw refuse("The actor_token was issued to another client.");
  return chained({ sub: token.subject, act: before });
}

function chained(actor: Actor): Actor {
  let depth = 0;
  for (let one: Actor | undefined = actor; one !== undefined; one = one.act) depth++;
  if (depth > limits.actorsMax)
    throw refuse(`A token names no more than ${limits.actorsMax} who act for one another.`);
  return actor;
}

/**
 * What the subject's token is for already, or what the operator lets the client reach from there.
 * @throws Refusal invalid_target
 */
async function targetsOf(
  client: Client,
  { parameters, subject, parts }: { parameters: Parameters; subject: OwnToken; parts: Dependencies },
): Promise<readonly string[]> {
  const asked = [...new Set([...parameters.all("resource"), ...parameters.all("audience")])];
  if (asked.length === 0) return subject.audience;
  const { keyturn_exchange_resources: more = [] } = client.metadata;
  // RFC 8693 §2.2.2: "If the authorization server is unwilling or unable to issue a token for any target service
  // indicated by the resource or audience parameters, the invalid_target error code SHOULD be used".
  const isAllowed = asked.every((one) => subject.audience.includes(one) || more.includes(one));
  if (!isAllowed || (await parts.resources.find(asked)) === undefined) throw new Refusal("invalid_target");
  return asked;
}

/** @throws Refusal invalid_scope for more than the subject's token has */
function scopeOf(
  client: Client,
  { asked, subject }: { asked: string | undefined; subject: OwnToken },
): string {
  const { scope: registered } = client.metadata;
  if (asked === undefined) {
    // What is about the person is for the client that they let in, unless it is asked for.
    const people = new Set<string>(standardScopes);
    const held = scopesIn(subject.scope).filter((one) => !people.has(one));
    return held.filter((one) => registered === undefined || isWithin(one, registered)).join(" ");
  }
  const isGranted =
    isWithin(asked, subject.scope) && (registered === undefined || isWithin(asked, registered));
  if (!isGranted) throw new Refusal("invalid_scope");
  return scopesIn(asked).join(" ");
}
