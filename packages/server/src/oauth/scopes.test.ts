import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "../clients/client.ts";
import { checkClientMetadata } from "../clients/client-metadata.ts";
import { limited } from "../clients/strangers.ts";
import { grantableScope } from "./scopes.ts";

const known = ["notes.read", "notes.write", "admin"];

function clientOf(origin: Client["origin"], scope: string | undefined, scopes?: readonly string[]): Client {
  const input = { redirect_uris: ["https://app.example/cb"], ...(scope !== undefined && { scope }) };
  const checked = checkClientMetadata({ type: "web", input, byOperator: true });
  assert.ok(checked.outcome === "good");
  const { metadata } = checked;
  const rest = { id: "x", name: "x", type: "web", createdAt: 0, updatedAt: 0 } as const;
  return limited({ ...rest, origin, metadata, lastUsedAt: undefined, expiresAt: undefined }, scopes);
}

test("RFC 6749 §3.3: a client gets of what it asks for what there is, and what the operator has registered it for", () => {
  const client = clientOf("operator", "openid notes.read");
  const asked = "openid notes.read notes.write unheard.of";
  assert.equal(grantableScope({ asked, client, known }), "openid notes.read");
  assert.equal(grantableScope({ asked: "notes.write", client, known }), undefined);
  assert.equal(grantableScope({ asked: undefined, client, known }), "openid notes.read");
  assert.equal(
    grantableScope({ asked: undefined, client: clientOf("operator", undefined), known }),
    "openid",
  );
});

test("what a client has said of itself is what it gets when it does not ask, and no bound when it does", () => {
  for (const origin of ["dynamic", "document"] as const) {
    const client = clientOf(origin, "notes.read");
    assert.equal(grantableScope({ asked: undefined, client, known }), "notes.read");
    assert.equal(
      grantableScope({ asked: "notes.read notes.write", client, known }),
      "notes.read notes.write",
    );
  }
});

test("registrationScopes bound what such a client gets, whatever it registered with", () => {
  for (const origin of ["dynamic", "document"] as const) {
    for (const said of ["admin", "notes.read", undefined]) {
      const client = clientOf(origin, said, ["notes.read", "notes.write"]);
      assert.equal(grantableScope({ asked: "admin", client, known }), undefined);
      assert.equal(
        grantableScope({ asked: "openid admin notes.write", client, known }),
        "openid notes.write",
      );
    }
  }
});
