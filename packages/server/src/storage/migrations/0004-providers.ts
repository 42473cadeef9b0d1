/** Signing in with someone else's provider: the providers, who is who there, and sign-ins that are under way. */
export const sql = `
CREATE TABLE providers (
  id TEXT NOT NULL PRIMARY KEY,
  preset TEXT NOT NULL,
  label TEXT NOT NULL,
  issuer TEXT NOT NULL,
  endpoints TEXT NOT NULL,
  client_id TEXT NOT NULL,
  sealed_secret BYTEA,
  signing TEXT NOT NULL,
  scopes TEXT NOT NULL,
  trusts_email BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  disabled_at BIGINT
);

-- No foreign key to providers: who is who is kept when an operator removes a provider and adds it again.
CREATE TABLE identities (
  id BYTEA NOT NULL PRIMARY KEY,
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  provider_id TEXT NOT NULL,
  label TEXT,
  created_at BIGINT NOT NULL,
  UNIQUE (issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id);

CREATE TABLE provider_attempts (
  state_digest BYTEA NOT NULL PRIMARY KEY,
  provider_id TEXT NOT NULL,
  binder_digest BYTEA NOT NULL,
  sealed BYTEA NOT NULL,
  return_to TEXT,
  user_id BYTEA,
  session_id BYTEA,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX provider_attempts_by_end ON provider_attempts (expires_at);

-- Somebody whom a provider has vouched for, and who has yet to prove the account with the same address. One a browser.
CREATE TABLE pending_identities (
  binder_digest BYTEA NOT NULL PRIMARY KEY,
  provider_id TEXT NOT NULL,
  sealed BYTEA NOT NULL,
  return_to TEXT,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX pending_identities_by_end ON pending_identities (expires_at);
`;
