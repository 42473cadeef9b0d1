import { z } from "zod";

/** Shapes of the first-party API's replies, for the OpenAPI document. Replies are not parsed on their way out. */

export const userReply = z.object({
  id: z.uuid(),
  username: z.string(),
  email: z.string().optional(),
  emailVerified: z.boolean(),
  name: z.string().optional(),
  roles: z.array(z.string()),
  createdAt: z.iso.datetime(),
});

export const tokenReply = z.object({
  accessToken: z.string().describe("A JWT as in RFC 9068, for the Authorization header"),
  refreshToken: z.string().describe("Opaque, begins with krt_; replaced at every use"),
  tokenType: z
    .enum(["Bearer", "DPoP"])
    .describe("The scheme of the Authorization header; DPoP needs a proof with it"),
  expiresIn: z.int().describe("Seconds until the access token expires"),
  refreshExpiresIn: z.int().describe("Seconds until the session ends if it is not refreshed"),
  sessionId: z.uuid(),
});

export const currentSessionReply = z.object({
  user: userReply,
  sessionId: z.uuid(),
  accessToken: z.string().describe("A JWT as in RFC 9068, for the Authorization header"),
  expiresIn: z.int().describe("Seconds until the access token expires"),
});

export const passwordReply = z.object({
  sessionId: z.uuid().describe("The session that goes on"),
});

export const cookieLoginReply = z.object({ user: userReply, sessionId: z.uuid() });

export const loginReply = tokenReply.extend({
  idToken: z.string().describe("Who signed in, OpenID Connect Core §2; for the client, never for an API"),
  user: userReply,
});

const sessionReply = z.object({
  id: z.uuid(),
  current: z.boolean().describe("The session of the access token that asks"),
  client: z.string(),
  kind: z.enum(["app", "browser"]).describe("What holds it: a refresh token, or a cookie"),
  device: z.string().optional(),
  ip: z.string().optional().describe("Where it was last used from"),
  userAgent: z.string().optional(),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().describe("When it ends if it is not used again"),
});

export const sessionsReply = z.object({
  sessions: z.array(sessionReply),
  next: z.uuid().optional().describe("Give it as ?before= for the next page"),
});
