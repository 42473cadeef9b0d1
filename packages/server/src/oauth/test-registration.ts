import assert from "node:assert/strict";
import type { Call, Reply, TestServer } from "../test-server.ts";

/** Clients that register themselves, as a test drives them. */

export const app = { redirect_uris: ["https://app.example/cb"], client_name: "An application" };

export interface Information extends Record<string, unknown> {
  readonly client_id: string;
  readonly client_secret?: string;
  readonly registration_access_token: string;
  readonly registration_client_uri: string;
}

export function noted(server: TestServer, reply: Reply): Information {
  const information = reply.json as Information;
  server.secrets.add(information.registration_access_token);
  if (information.client_secret !== undefined) server.secrets.add(information.client_secret);
  return information;
}

export async function register(server: TestServer, json: unknown, more: Call = {}): Promise<Information> {
  const reply = await server.call("/oauth/register", { json, ...more });
  assert.equal(reply.status, 201, reply.text);
  return noted(server, reply);
}

/** At the address that the registration was given, with its token. */
export const callRegistration = (server: TestServer, information: Information, options: Call = {}) =>
  server.call(new URL(information.registration_client_uri).pathname, {
    token: information.registration_access_token,
    ...options,
  });

/** Whether the token endpoint knows the client: it gets as far as the grant. */
export async function isKnown(server: TestServer, parameters: Record<string, string>): Promise<boolean> {
  const reply = await server.call("/oauth/token", {
    body: new URLSearchParams({ grant_type: "urn:example:none", ...parameters }).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  if (reply.json.error === "invalid_client") return false;
  assert.equal(reply.json.error, "unsupported_grant_type", reply.text);
  return true;
}
