/** Tokens of providers, where the operator has asked that they be kept. */
export const sql = `
ALTER TABLE providers ADD COLUMN keeps_tokens BIGINT NOT NULL DEFAULT 0;

-- Sealed under the master secret, for this person at this provider only. Gone with the identity. Whoever renews has it
-- for a while alone: a refresh token that rotates must not be used twice.
CREATE TABLE provider_tokens (
  identity_id BYTEA NOT NULL PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
  sealed BYTEA NOT NULL,
  changed_at BIGINT NOT NULL,
  renewing_until BIGINT
);
`;
