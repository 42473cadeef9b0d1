import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { Answer, ClientRequest, Endpoint } from "../http/endpoint.ts";
import { limits } from "../primitives/limits.ts";
import type { DeviceCodes } from "./device-codes.ts";
import type { Resources } from "./resources.ts";
import { grantableScope } from "./scopes.ts";
import { clientParameters } from "./token.ts";

interface Dependencies {
  readonly deviceCodes: DeviceCodes;
  readonly resources: Resources;
  readonly settings: { readonly issuer: string };
}

const reply = z.object({
  device_code: z.string(),
  user_code: z.string(),
  verification_uri: z.url(),
  verification_uri_complete: z.url(),
  expires_in: z.int(),
  interval: z.int(),
});

/** POST /oauth/device, RFC 8628 §3.1: a device that has no browser asks for a code that its user types elsewhere. */
export function deviceEndpoint({ deviceCodes, resources, settings }: Dependencies): Endpoint {
  async function handle({ client, parameters, ip }: ClientRequest): Promise<Answer> {
    const type = "urn:ietf:params:oauth:grant-type:device_code";
    if (!client.metadata.grant_types.includes(type)) throw new Refusal("unauthorized_client");
    const asked = [...new Set(parameters.all("resource"))];
    const found = await resources.find(asked);
    if (found === undefined) throw new Refusal("invalid_target");
    const known = found.length === 0 ? await resources.scopes() : found.flatMap(({ scopes }) => scopes);
    const scope = grantableScope({ asked: parameters.get("scope"), client, known });
    if (scope === undefined) throw new Refusal("invalid_scope");
    const begun = await deviceCodes.begin({ clientId: client.id, scope, resources: asked }, ip);
    if ("retryAfterSeconds" in begun) {
      throw new Refusal("too_many_attempts", {
        headers: { "Retry-After": String(begun.retryAfterSeconds) },
      });
    }
    const { deviceCode, userCode } = begun;
    const verification_uri = `${settings.issuer}/device`;
    return {
      status: 200,
      json: {
        device_code: deviceCode,
        user_code: userCode,
        verification_uri,
        verification_uri_complete: `${verification_uri}?user_code=${userCode}`,
        expires_in: limits.deviceCodeSeconds,
        interval: limits.deviceIntervalSeconds,
      } satisfies z.infer<typeof reply>,
    };
  }

  return {
    method: "POST",
    path: "/oauth/device",
    summary: "A code for a device without a browser, RFC 8628 §3.1: its user types it at /device",
    access: "client",
    parameters: {
      scope: { about: "What is asked for, separated by spaces" },
      resource: { about: "What the access tokens are to be for, RFC 8707 §2; may be repeated" },
      ...clientParameters,
    },
    success: { status: 200, about: "The code for the device, and the one for its user", schema: reply },
    refusals: [
      "invalid_request",
      "invalid_client",
      "unauthorized_client",
      "invalid_scope",
      "invalid_target",
      "too_many_attempts",
    ],
    anyOrigin: true,
    handle,
  };
}
