import { type Client, isConfidential } from "../../clients/client.ts";
import { Refusal } from "../../errors.ts";
import { wrongKey } from "../../http/proofs.ts";
import type { SigningKeys } from "../../keys/signing-keys.ts";
import { unreachable } from "../../primitives/assert.ts";
import type { Clock } from "../../primitives/clock.ts";
import { sha256 } from "../../primitives/digest.ts";
import type { RightsReader } from "../../sessions/rights.ts";
import type { Session } from "../../sessions/session.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { StartedSession } from "../../sessions/starting.ts";
import type { Users } from "../../users/users.ts";
import type { DeviceCodes, DeviceGranted, DeviceRequest, Polled } from "../device-codes.ts";
import type { Issuing, TokenReply } from "../issuing.ts";
import { hasScope } from "../scopes.ts";
import type { Grant, GrantRequest } from "./grant.ts";

interface Dependencies {
  readonly deviceCodes: DeviceCodes;
  readonly sessions: Pick<Sessions, "start" | "find" | "isOver" | "firstCredential">;
  readonly rights: RightsReader;
  readonly users: Pick<Users, "findById">;
  readonly issuing: Issuing;
  readonly signingKeys: Pick<SigningKeys, "ensure">;
  readonly settings: { readonly refreshGraceSeconds: number; readonly accessTokenSeconds: number };
  readonly clock: Clock;
}

/**
 * RFC 8628 §3.4: a device asks until its user has let it in.
 *
 * The session has no parent: the device is another one than the browser that let it in, and signing out there, on a
 * telephone, is not meant for the television. The user ends it in the list of their devices.
 */
export function deviceCodeGrant(parts: Dependencies): Grant {
  const { deviceCodes } = parts;

  async function handle(request: GrantRequest): Promise<TokenReply> {
    const deviceCode = request.parameters.get("device_code");
    if (deviceCode === undefined) {
      throw new Refusal("invalid_request", { description: "device_code is missing." });
    }
    const polled = await deviceCodes.poll(deviceCode, request.client.id);
    if (polled.outcome === "used") return again(request, { deviceCode, used: polled });
    if (polled.outcome !== "allowed") throw refusedPoll(polled);
    const started = await startFor(request, { ...polled, deviceCode }, parts);
    if (started !== undefined) return issue(request, started);
    // Another poll of the same moment was first; or its user was removed or disabled since.
    const now = await deviceCodes.poll(deviceCode, request.client.id);
    if (now.outcome === "used") return again(request, { deviceCode, used: now });
    throw new Refusal("access_denied");
  }

  /**
   * A reply that was lost: within the grace, and as long as nobody has used what was handed out, the same tokens again.
   * The first secret of the session is derived from the device code, so nothing had to be kept for this.
   */
  async function again(
    request: GrantRequest,
    { deviceCode, used }: { deviceCode: string; used: Extract<Polled, { outcome: "used" }> },
  ): Promise<TokenReply> {
    const { sessions, settings, clock } = parts;
    const session = await sessions.find(used.sessionId);
    const isLate = clock.now() - used.usedAt > settings.refreshGraceSeconds * 1000;
    if (session === undefined || isLate || session.generation > 0 || sessions.isOver(session)) {
      throw new Refusal("invalid_grant", { description: "This device code has been used." });
    }
    if (session.keyThumbprint !== undefined && session.keyThumbprint !== request.dpopThumbprint) {
      throw wrongKey();
    }
    return issue(request, {
      session,
      credential: sessions.firstCredential(session, firstSecret(deviceCode)),
    });
  }

  async function issue(request: GrantRequest, { session, credential }: StartedSession): Promise<TokenReply> {
    const { rights, users, signingKeys, issuing } = parts;
    const { client, dpopThumbprint } = request;
    const user = hasScope(session.scope, "openid") ? await users.findById(session.userId) : undefined;
    if (user !== undefined) await signingKeys.ensure(client.metadata.id_token_signed_response_alg);
    return issuing.issue({
      client,
      session: { ...session, sessionId: session.id, rights: await rights.of(session.id) },
      resources: session.resources,
      scope: session.scope,
      keyThumbprint: dpopThumbprint,
      refreshToken: mayRefresh(client) ? credential : undefined,
      user,
    });
  }

  return {
    type: "urn:ietf:params:oauth:grant-type:device_code",
    parameters: {
      device_code: { about: "For the device code grant: what /oauth/device gave, RFC 8628 §3.4" },
    },
    refusals: [
      "invalid_grant",
      "authorization_pending",
      "slow_down",
      "expired_token",
      "access_denied",
      "invalid_dpop_proof",
    ],
    handle,
  };
}

const mayRefresh = ({ metadata }: Client) => metadata.grant_types.includes("refresh_token");

/** 32 bytes that whoever has the device code, and nobody else, can make. They are worth nothing without our tag. */
const firstSecret = (deviceCode: string): Buffer => sha256(`first refresh secret of a device\n${deviceCode}`);

function startFor(
  request: GrantRequest,
  allowed: { deviceCode: string; request: DeviceRequest; granted: DeviceGranted },
  { deviceCodes, sessions, settings, clock }: Dependencies,
): Promise<{ session: Session; credential: string } | undefined> {
  const { client, dpopThumbprint, ip, userAgent } = request;
  const { deviceCode, granted } = allowed;
  return sessions.start(
    {
      ...granted,
      ...allowed.request,
      kind: "client",
      // Without refresh tokens the session is as long as its one access token.
      expiresAt: mayRefresh(client) ? undefined : clock.now() + settings.accessTokenSeconds * 1000,
      secret: firstSecret(deviceCode),
      device: client.name,
      ip,
      userAgent,
      // RFC 9449 §5: refresh tokens of confidential clients are bound to the client already.
      keyThumbprint: isConfidential(client) ? undefined : dpopThumbprint,
    },
    deviceCodes.spending(deviceCode, { userId: granted.userId, clientId: client.id }),
  );
}

/** RFC 8628 §3.5. */
function refusedPoll(polled: Exclude<Polled, { outcome: "used" | "allowed" }>): Refusal {
  switch (polled.outcome) {
    case "unknown":
      return new Refusal("invalid_grant", { description: "This is no device code of this client's." });
    case "expired":
      return new Refusal("expired_token");
    case "denied":
      return new Refusal("access_denied");
    case "pending":
      return new Refusal("authorization_pending");
    case "too_soon":
      return new Refusal("slow_down");
    default:
      return unreachable(polled);
  }
}
