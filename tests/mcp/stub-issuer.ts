import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

/** An issuer that lets everybody in, for what is between a client and an MCP server. It keeps what it was asked. */
export type StubIssuer = Awaited<ReturnType<typeof startStubIssuer>>;

interface Granted {
  readonly challenge: string;
  readonly clientId: string;
  readonly scope: string;
  readonly resource: string;
}

export async function startStubIssuer({ takesDocuments }: { readonly takesDocuments: boolean }) {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "1", alg: "ES256", use: "sig" };
  const codes = new Map<string, Granted>();
  const registrations: Record<string, unknown>[] = [];
  const tokenRequests: URLSearchParams[] = [];
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const metadata = {
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    registration_endpoint: `${url}/register`,
    jwks_uri: `${url}/jwks`,
    response_types_supported: ["code"],
    grant_types_supported: ["authorization_code"],
    token_endpoint_auth_methods_supported: ["none"],
    code_challenge_methods_supported: ["S256"],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: takesDocuments,
  };

  async function mint(claims: { aud: string; scope: string; client_id?: string }): Promise<string> {
    return new SignJWT({ client_id: "someone", jti: randomUUID(), sid: randomUUID(), ...claims })
      .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: "1" })
      .setIssuer(url)
      .setSubject("alice")
      .setIssuedAt()
      .setExpirationTime("10m")
      .sign(privateKey);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const part of request) body += part;
    const send = (status: number, json: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
    switch (`${request.method} ${request.url}`) {
      case "GET /.well-known/oauth-authorization-server":
        return void send(200, metadata);
      case "GET /jwks":
        return void send(200, { keys: [jwk] });
      case "POST /register":
        registrations.push(JSON.parse(body));
        return void send(201, { ...JSON.parse(body), client_id: `registered-${registrations.length}` });
      case "POST /token":
        return void (await giveToken(new URLSearchParams(body), send));
      default:
        return void send(404, {});
    }
  }

  async function giveToken(form: URLSearchParams, send: (status: number, json: unknown) => unknown) {
    tokenRequests.push(form);
    const granted = codes.get(form.get("code") ?? "");
    codes.delete(form.get("code") ?? "");
    const verifier = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    const isGood =
      granted?.challenge === verifier &&
      granted.clientId === form.get("client_id") &&
      granted.resource === form.get("resource");
    if (!isGood) return send(400, { error: "invalid_grant" });
    const { scope, resource, clientId } = granted;
    const token = await mint({ aud: resource, scope, client_id: clientId });
    return send(200, { access_token: token, token_type: "Bearer", expires_in: 600, scope });
  }

  return {
    url,
    registrations,
    tokenRequests,
    mint,
    /** What the person agrees to: all that was asked. Gives the parameters of the answer. */
    agree(visit: URL): URLSearchParams {
      assert.equal(visit.origin + visit.pathname, metadata.authorization_endpoint);
      const query = visit.searchParams;
      assert.equal(query.get("code_challenge_method"), "S256");
      const code = randomUUID();
      codes.set(code, {
        challenge: query.get("code_challenge") ?? "",
        clientId: query.get("client_id") ?? "",
        scope: query.get("scope") ?? "",
        resource: query.get("resource") ?? "",
      });
      const state = query.get("state");
      return new URLSearchParams({ code, iss: url, ...(state !== null && { state }) });
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
