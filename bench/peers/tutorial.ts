/*
 * The app of the tutorials: Express, jsonwebtoken with HS256, refresh tokens in a Map. It keeps nothing over a
 * restart and catches nobody. Passwords with Keyturn's Argon2id, in libuv's threads, so that only what is around the
 * hash differs. Prints one line of JSON when it listens: its port and the refresh tokens to use.
 */
import { randomBytes } from "node:crypto";
import { hash, verify } from "@node-rs/argon2";
import express from "express";
import jwt from "jsonwebtoken";

const [, , count = "1000", ...usernames] = process.argv;
const sessions = Number(count);
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const passwords = new Map<string, string>();
for (const username of usernames) passwords.set(username, await hash("correct horse battery", cost));
const accessSecret = randomBytes(32);
const refreshSecret = randomBytes(32);
const refreshTokens = new Map<string, string>();

function issue(userId: string) {
  const accessToken = jwt.sign({ userId }, accessSecret, {
    expiresIn: "10m",
    jwtid: randomBytes(8).toString("hex"),
  });
  const refreshToken = jwt.sign({ userId }, refreshSecret, {
    expiresIn: "14d",
    jwtid: randomBytes(8).toString("hex"),
  });
  refreshTokens.set(refreshToken, userId);
  return { accessToken, refreshToken };
}

const app = express();
app.use(express.json());
app.post("/login", async (request, response) => {
  const { username, password } = request.body;
  const stored = passwords.get(username);
  if (stored === undefined || !(await verify(stored, password))) return response.sendStatus(401);
  response.json({ ...issue(username), user: { username } });
});
app.post("/refresh", (request, response) => {
  const { refreshToken } = request.body;
  const userId = refreshTokens.get(refreshToken);
  if (userId === undefined) return response.sendStatus(403);
  jwt.verify(refreshToken, refreshSecret, (error: unknown) => {
    if (error) return response.sendStatus(403);
    refreshTokens.delete(refreshToken);
    response.json(issue(userId));
  });
});

const tokens = Array.from({ length: sessions }, (_, index) => issue(`user ${index}`).refreshToken);
const server = app.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(
    `${JSON.stringify({ port: typeof address === "object" ? address?.port : 0, tokens })}\n`,
  );
});
