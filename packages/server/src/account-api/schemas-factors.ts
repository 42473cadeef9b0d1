import { z } from "zod";

/** Shapes of the replies about second factors and identities, for the OpenAPI document. */

const passkeyReply = z.object({
  id: z.uuid(),
  name: z.string(),
  syncable: z.boolean().describe("Whether it may be on several devices"),
  createdAt: z.iso.datetime(),
  lastUsedAt: z.iso.datetime().optional(),
});

export const factorsReply = z.object({
  passkeys: z.array(passkeyReply),
  totp: z.boolean().describe("Whether an authenticator app is on"),
  recoveryCodes: z.int().describe("How many are unused"),
});

export const pendingTotpReply = z.object({
  secret: z.string().describe("Base 32, for an authenticator app"),
  uri: z.string().describe("otpauth://, the same for a QR code"),
});

export const optionsReply = z.object({
  options: z.record(z.string(), z.unknown()).describe("PublicKeyCredentialCreationOptionsJSON"),
});

export const addedReply = z.object({
  recoveryCodes: z.array(z.string()).optional().describe("With the first factor: shown this once"),
});

export const identitiesReply = z.object({
  identities: z.array(
    z.object({
      id: z.uuid(),
      provider: z.string().describe("The provider's id, as in GET /providers"),
      label: z.string().optional().describe("What the provider calls the account"),
      createdAt: z.iso.datetime(),
    }),
  ),
  hasPassword: z.boolean(),
});

export const providersReply = z.object({
  providers: z.array(z.object({ id: z.string(), label: z.string() })),
});
