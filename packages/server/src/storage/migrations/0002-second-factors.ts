/** Passkeys, one-time passwords, recovery codes, and sign-ins that wait for one of them. */
export const sql = `
-- What an authenticator calls the user (WebAuthn §6.4.1 wants it random, and nothing that tells who it is).
CREATE TABLE user_handles (
  user_id BYTEA NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  handle BYTEA NOT NULL UNIQUE
);

CREATE TABLE passkeys (
  id BYTEA NOT NULL PRIMARY KEY,
  user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  credential_id BYTEA NOT NULL UNIQUE,
  public_key BYTEA NOT NULL,
  counter BIGINT NOT NULL,
  transports TEXT NOT NULL,
  backup_eligible BIGINT NOT NULL,
  backed_up BIGINT NOT NULL,
  name TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  used_at BIGINT
);
CREATE INDEX passkeys_by_user ON passkeys (user_id);

CREATE TABLE totp_secrets (
  user_id BYTEA NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  sealed BYTEA NOT NULL,
  begun_by BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  confirmed_at BIGINT,
  last_step BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
  user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  digest BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, digest)
);

CREATE TABLE sign_in_tickets (
  digest BYTEA NOT NULL PRIMARY KEY,
  user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  purpose TEXT NOT NULL,
  arrival TEXT NOT NULL,
  password_changed_at BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX sign_in_tickets_by_end ON sign_in_tickets (expires_at);
CREATE INDEX sign_in_tickets_by_user ON sign_in_tickets (user_id);

CREATE TABLE spent_challenges (
  digest BYTEA NOT NULL PRIMARY KEY,
  expires_at BIGINT NOT NULL
);
CREATE INDEX spent_challenges_by_end ON spent_challenges (expires_at);
`;
