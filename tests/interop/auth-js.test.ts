import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Auth } from "@auth/core";
import { startWire } from "../browser/wire.ts";
import { openHouse } from "./house.ts";

/** Auth.js (next-auth), unmodified, as a plain OpenID Connect provider of its list: discovery, PKCE, state and nonce. */

const house = await openHouse();
const wire = await startWire();
after(wire.close);

test("signs in by its own pages, and has the person's name and address", async () => {
  const { id, secret } = await house.addClient("web", {
    redirect_uris: [`${wire.url}/auth/callback/keyturn`],
  });
  const kept: { access_token?: string; refresh_token?: string } = {};
  const answer = (request: Request) =>
    Auth(request, {
      providers: [
        {
          ...{ id: "keyturn", name: "Keyturn", type: "oidc", issuer: house.issuer, clientId: id },
          ...{ clientSecret: secret, checks: ["pkce", "state", "nonce"] },
          authorization: {
            params: { scope: "openid profile email notes.read", resource: house.api.resource },
          },
        },
      ],
      callbacks: {
        jwt({ token, account }) {
          if (account) Object.assign(kept, account);
          return token;
        },
      },
      basePath: "/auth",
      secret: "a secret of the application's own cookies",
      trustHost: true,
    });
  wire.connect(answer);
  const person = house.person();
  // Its page has a form for each of its providers.
  const chosen = await person.goTo(
    new URL("/auth/signin?callbackUrl=/auth/session", wire.url),
    (url) => url.pathname === "/auth/signin/keyturn",
  );
  await person.goTo(chosen, (url) => url.href === `${wire.url}/auth/session#shown`);
  const { user } = JSON.parse(person.pages.at(-1) ?? "");
  assert.equal(user.email, "alice@example.com");
  const headers = { authorization: `Bearer ${kept.access_token}` };
  assert.equal((await fetch(house.api.url("/notes"), { headers })).status, 200);
});
