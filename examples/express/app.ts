/**
 * An API beside a running Keyturn. People sign in at Keyturn and bring their access token here; the guard verifies
 * it without asking anyone and hears of every revocation within a second. No password ever reaches this process.
 */
import { createGuard, identityOf } from "@keyturn/guard";
import { protect } from "@keyturn/guard/express";
import express, { type ErrorRequestHandler } from "express";

const issuer = process.env.KEYTURN_ISSUER ?? "http://localhost:3000";
const { RESOURCE_ID: id, RESOURCE_SECRET: secret, PORT = "4000" } = process.env;

// One guard for the process. With `resource` it follows the revocation feed; without, a token that was taken back
// stays good until it expires (ten minutes), and routes that insist on the feed answer 503.
const guard = createGuard({
  issuer,
  audience: process.env.AUDIENCE ?? issuer,
  resource: id && secret ? { id, secret } : undefined,
  onEvent(event) {
    // Refusals are everyday; a real service counts them. No event ever holds a token.
    if (event.type !== "refused") console.error(JSON.stringify(event));
  },
});
await guard.ready();

const app = express();
app.disable("x-powered-by");
app.use(express.json({ limit: "16kb" }));

const articlesMax = 100;
const articles: { title: string; author: string }[] = [];

app.get("/", (_request, response) => {
  response.json({ api: "articles", signInAt: `${issuer}/login` });
});

// The tutorial's route: any signed-in user.
app.get("/protected", protect(guard), (request, response) => {
  const { subject, sessionId, roles } = identityOf(request);
  response.json({ message: `Hello, ${subject}`, subject, sessionId, roles });
});

// Anyone may read. Who brings a token is told apart, and a bad token is refused all the same.
app.get("/articles", protect(guard, { optional: true }), (request, response) => {
  const { identity } = request;
  response.json(articles.map((one) => ({ ...one, mine: one.author === identity?.subject })));
});

// Editors only: others get 403 insufficient_scope, however good their token is.
app.post("/articles", protect(guard, { roles: ["editor"] }), (request, response) => {
  const title: unknown = request.body?.title;
  if (typeof title !== "string" || title === "" || title.length > 200) {
    response
      .status(400)
      .json({ error: "invalid_request", error_description: "title takes 1 to 200 characters." });
    return;
  }
  if (articles.length === articlesMax) articles.shift();
  articles.push({ title, author: identityOf(request).subject });
  response.status(201).json({ title });
});

// What cannot be undone is not done on the word of a token that may have been taken back meanwhile: while the feed
// cannot be heard this answers 503, and the person must have signed in within the last ten minutes.
app.delete(
  "/articles",
  protect(guard, { roles: ["editor"], whenFeedBroken: "refuse", maxAuthAgeSeconds: 600 }),
  (_request, response) => {
    articles.length = 0;
    response.status(204).end();
  },
);

// Express's own answer to an error shows the stack trace unless NODE_ENV is "production".
// biome-ignore lint/complexity/useMaxParams: Express tells an error handler by its four parameters
const onError: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  const status = error.status >= 400 && error.status < 500 ? error.status : 500;
  if (status === 500) console.error(error);
  const code = status === 500 ? "server_error" : "invalid_request";
  response.status(status).json({ error: code, error_description: "This request could not be handled." });
};
app.use(onError);

const server = app.listen(Number(PORT), "127.0.0.1", (error) => {
  if (error) throw error;
  const address = server.address();
  if (typeof address === "object") console.log(`The API listens on http://localhost:${address?.port}`);
});

function stop() {
  guard.close();
  server.close();
}
process.once("SIGINT", stop);
process.once("SIGTERM", stop);
