/*
 * A bare Hono route that answers with as much JSON as GET /session does, and looks at nothing: neither at a cookie nor
 * at a database.
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const reply = {
  user: {
    id: "01a20913-9e92-7677-8c5e-12b558ce290a",
    username: "bench",
    emailVerified: false,
    roles: [],
    createdAt: "2026-11-25T12:00:00.000Z",
  },
  sessionId: "01a20913-9ee1-716c-a64d-000000000000",
  accessToken: `${"x".repeat(100)}.${"x".repeat(420)}.${"x".repeat(86)}`,
  expiresIn: 600,
};
const app = new Hono().get("/session", (context) => context.json(reply));
serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => {
  console.log(JSON.stringify({ port, tokens: [] }));
});
