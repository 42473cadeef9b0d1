/** The guard in a Fastify API beside a running Keyturn. */
import { createGuard, identityOf } from "@keyturn/guard";
import { guardPlugin, protect } from "@keyturn/guard/fastify";
import Fastify from "fastify";

const issuer = process.env.KEYTURN_ISSUER ?? "http://localhost:3000";
const { RESOURCE_ID: id, RESOURCE_SECRET: secret, PORT = "4001" } = process.env;

// With `resource` the guard follows the revocation feed, and hears within a second that somebody signed out.
const guard = createGuard({
  issuer,
  audience: process.env.AUDIENCE ?? issuer,
  resource: id && secret ? { id, secret } : undefined,
});
await guard.ready();

const app = Fastify();

// Open to everyone.
app.get("/", () => ({ api: "photos", signInAt: `${issuer}/login` }));

// Everything registered in this scope needs a good token. Without one:
//   401  WWW-Authenticate: Bearer
//        {"error":"missing_token","error_description":"Send an access token in the Authorization header."}
// With one that is expired, forged, revoked, or made for another API:
//   401  WWW-Authenticate: Bearer error="invalid_token", error_description="..."
//        {"error":"invalid_token","error_description":"The access token is not valid here, ..."}
app.register((scope, _options, done) => {
  scope.register(guardPlugin, { guard });

  scope.get("/protected", (request) => {
    const { subject, sessionId, roles } = identityOf(request);
    return { message: `Hello, ${subject}`, subject, sessionId, roles };
  });

  // A route may ask for more. A good token of somebody who is no editor gets
  //   403  {"error":"insufficient_scope","error_description":"The access token is valid but lacks a right ..."}
  scope.post("/photos", { onRequest: protect(guard, { roles: ["editor"] }) }, (_request, reply) => {
    return reply.code(201).send({ uploaded: true });
  });
  done();
});

const address = await app.listen({ port: Number(PORT), host: "127.0.0.1" });
console.log(`The API listens on ${address}`);

async function stop() {
  guard.close();
  await app.close();
}
process.once("SIGINT", () => void stop());
process.once("SIGTERM", () => void stop());
