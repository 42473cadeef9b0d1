import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach } from "node:test";
import { type Call, startTestServer, type TestServer, type Tokens } from "../test-server.ts";

export const json = { "content-type": "application/json" };

const passkey = {
  id: "x",
  rawId: "x",
  type: "public-key",
  response: { clientDataJSON: "x", authenticatorData: "x", signature: "x" },
};

const passkeyCreated = { ...passkey, response: { clientDataJSON: "x", attestationObject: "x" } };

/** Every endpoint that takes a body, with one that it would accept. Whatever a test sends them, no row may change. */
export function bodyTakers() {
  let server: TestServer;
  let tokens: Tokens;
  let rows: string;

  /** Endpoints that take a body. What a client says of itself has rules of its own: oauth/register.test.ts. */
  const takers = () =>
    server.app.endpoints.filter(({ body, path }) => body !== undefined && !path.startsWith("/oauth/"));

  const accepted = (): Record<string, Record<string, unknown>> => ({
    "/login": { username: "alice", password: "correct horse battery", device: "Phone", mode: "token" },
    "/refresh": { refreshToken: tokens.refreshToken },
    "/logout": { refreshToken: tokens.refreshToken, everywhere: true },
    "/password": {
      currentPassword: "correct horse battery",
      newPassword: "a longer one than before",
      endOtherSessions: true,
    },
    "/step-up": { password: "correct horse battery", code: "123456" },
    "/login/second-factor": { ticket: "ktt_x", code: "123456" },
    "/login/second-factor/challenge": { ticket: "ktt_x" },
    "/login/enrolment": { ticket: "ktt_x" },
    "/login/passkey": { passkey, device: "Phone", mode: "token" },
    "/login/handover": { code: "x", verifier: "x".repeat(43), device: "Phone" },
    "/login/recovery": {
      username: "alice",
      code: "0000-0000-0000-0000-0000-0000",
      device: "Phone",
      mode: "token",
    },
    "/login/email": { email: "nobody@example.com" },
    "/login/email/confirm": { ticket: "x", code: "123456", device: "Phone", mode: "token" },
    "/email": { email: "new@example.com" },
    "/email/confirm": { code: "123456" },
    "/password/first": { password: "a long enough one" },
    "/password/forgotten": { email: "nobody@example.com" },
    "/password/reset": { token: "kml_x", newPassword: "a long enough one", endSessions: true },
    "/factors/totp/confirm": { code: "123456" },
    "/factors/passkeys": { passkey: passkeyCreated, name: "Phone" },
    "/factors/passkeys/:id": { name: "Phone" },
    "/register": { username: "new", password: "a long enough one", email: "new@example.com", name: "New" },
  });

  before(async () => {
    server = await startTestServer();
    await server.addUser("alice");
    tokens = await server.login("alice");
  });
  beforeEach(async () => {
    rows = await server.rows();
  });
  afterEach(async () => assert.equal(await server.rows(), rows, "whatever is sent here, nothing may change"));
  after(() => server.close());

  /** With an access token where only users may call: a stranger's body is not read there. */
  const tokenFor = (path: string) => {
    const forUsers = server.app.endpoints.some((row) => row.path === path && row.access === "user");
    return forUsers ? tokens.accessToken : undefined;
  };

  const send = (path: string, body: NonNullable<Call["body"]>, headers: Record<string, string> = json) =>
    server.call(path, { body, headers, token: tokenFor(path) });

  return { server: () => server, takers, accepted, tokenFor, send };
}
