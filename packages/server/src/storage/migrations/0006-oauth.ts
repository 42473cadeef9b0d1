/** Keyturn as an authorization server: what clients say of themselves, and what is granted to them. */
export const sql = `
-- RFC 7591 §2, as JSON, with its defaults filled in. Origin: who registered it (operator, settings, dynamic, document).
ALTER TABLE clients ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
ALTER TABLE clients ADD COLUMN origin TEXT NOT NULL DEFAULT 'operator';
ALTER TABLE clients ADD COLUMN registration_digest BYTEA;
ALTER TABLE clients ADD COLUMN last_used_at BIGINT;
ALTER TABLE clients ADD COLUMN expires_at BIGINT;
-- Of a client that is a document: when it is fetched again.
ALTER TABLE clients ADD COLUMN fresh_until BIGINT;
CREATE INDEX clients_by_end ON clients (expires_at) WHERE expires_at IS NOT NULL;

-- By which users are called differently in each sector (OpenID Connect Core §8.1). It outlives every master secret, and
-- is no secret to whoever has this database, in which the users are.
CREATE TABLE pairwise_salt (
  id BIGINT NOT NULL PRIMARY KEY,
  salt BYTEA NOT NULL
);
INSERT INTO pairwise_salt (id, salt) VALUES (1,
-- sqlite: randomblob(32)
-- postgres: decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
);

-- Whose an identifier of RFC 8707 is.
CREATE TABLE resources (
  identifier TEXT NOT NULL PRIMARY KEY,
  client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE
);

-- What a client's tokens may be for, RFC 8707: separated by spaces; null: the audience of the settings.
ALTER TABLE sessions ADD COLUMN resources TEXT;
CREATE INDEX sessions_by_client ON sessions (client_id) WHERE client_id <> 'first-party';
CREATE INDEX sessions_by_parent ON sessions (parent) WHERE parent IS NOT NULL;

-- Requests for authorization: pushed ones (RFC 9126), and those that wait while a person signs in or decides.
CREATE TABLE authorization_requests (
  digest BYTEA NOT NULL PRIMARY KEY,
  client_id TEXT NOT NULL,
  parameters TEXT NOT NULL,
  pushed BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT,
  -- The browser's session that has used it, and may do so once more in a moment: people click twice.
  used_by BYTEA,
  -- The browser's session that its user chose to go on with.
  continued_by BYTEA
);
CREATE INDEX authorization_requests_by_end ON authorization_requests (expires_at);

-- A used code is kept until it would have expired: the session that it gave ends when it is used again.
CREATE TABLE authorization_codes (
  digest BYTEA NOT NULL PRIMARY KEY,
  client_id TEXT NOT NULL,
  user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  browser_session BYTEA NOT NULL,
  granted TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT,
  gave_session BYTEA
);
CREATE INDEX authorization_codes_by_end ON authorization_codes (expires_at);

-- State: pending, allowed, denied, used. A used one is kept until it would have expired, for a reply that was lost.
CREATE TABLE device_authorizations (
  device_digest BYTEA NOT NULL PRIMARY KEY,
  user_code_digest BYTEA NOT NULL UNIQUE,
  client_id TEXT NOT NULL,
  scope TEXT NOT NULL,
  resources TEXT,
  state TEXT NOT NULL,
  granted TEXT,
  interval_seconds BIGINT NOT NULL,
  polled_at BIGINT,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT,
  gave_session BYTEA
);
CREATE INDEX device_authorizations_by_end ON device_authorizations (expires_at);

CREATE TABLE consents (
  user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  client_id TEXT NOT NULL,
  scope TEXT NOT NULL,
  resources TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, client_id)
);

-- Assertions and request objects that were used, by the digest of client and jti, until they expire.
CREATE TABLE spent_assertions (
  digest BYTEA NOT NULL PRIMARY KEY,
  expires_at BIGINT NOT NULL
)
-- sqlite: WITHOUT ROWID
;
CREATE INDEX spent_assertions_by_end ON spent_assertions (expires_at);

-- OpenID Connect Back-Channel Logout: which clients are to be told that a session is over. Written in the transaction
-- that ends it, so none is forgotten; a session ends once.
CREATE TABLE logout_deliveries (
  session_id BYTEA NOT NULL PRIMARY KEY,
  client_id TEXT NOT NULL,
  user_id BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  next_try_at BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  done_at BIGINT,
  problem TEXT
);
CREATE INDEX logout_deliveries_by_next_try ON logout_deliveries (next_try_at) WHERE done_at IS NULL;
CREATE INDEX logout_deliveries_by_client ON logout_deliveries (client_id, session_id);
`;
