import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestServer } from "../test-server.ts";

test("RFC 8414 §2: every endpoint that the metadata names is there, and takes what it is for", async (t) => {
  const server = await startTestServer();
  t.after(() => server.close());
  const { json } = await server.call("/.well-known/oauth-authorization-server");
  const named = Object.entries(json).filter(([name]) => /_endpoint$/.test(name));
  const names = named.map(([name]) => name);
  for (const name of ["token", "revocation", "introspection", "userinfo", "device_authorization"]) {
    assert.ok(names.includes(`${name}_endpoint`), name);
  }
  for (const [name, address] of named) {
    const path = String(address).slice(server.issuer.length);
    const reply = await server.callQuietly(path, {
      method: "POST",
      headers: { origin: "https://app.example" },
    });
    // Pages that other sites send forms to lead on to an address of their own.
    const leadsOn = reply.status === 303 && /^\/(?!\/)/.test(reply.headers.get("location") ?? "");
    const refuses = reply.status >= 400 && reply.status < 500 && reply.status !== 404;
    assert.ok(refuses || leadsOn, `${name}: ${reply.status}`);
    const wrong = await server.callQuietly(path, { method: "PATCH" });
    assert.equal(wrong.status, 405, name);
  }
  const methods = json.introspection_endpoint_auth_methods_supported as string[];
  assert.ok(!methods.includes("none"), "RFC 7662 §2.1: some form of authorization");
});
