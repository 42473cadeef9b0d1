/** See ../migrate.ts for the two markers `-- sqlite:` and `-- postgres:`, which keep one text for both engines. */
export const sql = `
CREATE TABLE users (
  id BYTEA NOT NULL PRIMARY KEY,
  username TEXT NOT NULL,
  username_key TEXT NOT NULL UNIQUE,
  email TEXT,
  email_key TEXT UNIQUE,
  email_verified_at BIGINT,
  name TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  disabled_at BIGINT
);

CREATE TABLE credentials (
  id BYTEA NOT NULL PRIMARY KEY,
  user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  secret TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL
);
CREATE INDEX credentials_by_user ON credentials (user_id);
CREATE UNIQUE INDEX credentials_one_password ON credentials (user_id) WHERE kind = 'password';

CREATE TABLE user_roles (
  user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  PRIMARY KEY (user_id, role)
);

CREATE TABLE clients (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  secret_digest BYTEA,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

-- No foreign key to users: an ended session is kept for the story it tells after its user is gone.
-- A turn changes generation, digest, recent, last_used_at and ip, and touches no index.
CREATE TABLE sessions (
  id BYTEA NOT NULL PRIMARY KEY,
  user_id BYTEA NOT NULL,
  client_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  parent BYTEA,
  scope TEXT NOT NULL,
  amr TEXT NOT NULL,
  device TEXT,
  ip TEXT,
  user_agent TEXT,
  dpop_thumbprint TEXT,
  authenticated_at BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  recent BYTEA NOT NULL,
  revoked_at BIGINT,
  end_reason TEXT,
  end_event BYTEA
)
-- sqlite: WITHOUT ROWID
-- postgres: WITH (fillfactor = 75)
;
CREATE INDEX sessions_by_user ON sessions (user_id);

-- Numbers are given out by this one row inside the revoking transaction: its lock makes the order of the
-- numbers the order of the commits, so that a reader who has seen 42 can never be shown a new 41.
CREATE TABLE revocation_position (
  id BIGINT NOT NULL PRIMARY KEY,
  seq BIGINT NOT NULL
);
INSERT INTO revocation_position (id, seq) VALUES (1, 0);

CREATE TABLE revocations (
  seq BIGINT NOT NULL PRIMARY KEY,
  session_id BYTEA,
  client_id TEXT,
  before_seconds BIGINT NOT NULL,
  until_seconds BIGINT NOT NULL,
  soft BIGINT NOT NULL
);

CREATE TABLE signing_keys (
  id TEXT NOT NULL PRIMARY KEY,
  algorithm TEXT NOT NULL,
  state TEXT NOT NULL,
  public_jwk TEXT NOT NULL,
  sealed_private_key BYTEA,
  created_at BIGINT NOT NULL,
  current_at BIGINT,
  retiring_at BIGINT,
  retired_at BIGINT
);
CREATE UNIQUE INDEX signing_keys_one_current ON signing_keys (algorithm) WHERE state = 'current';
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (algorithm) WHERE state = 'next';

CREATE TABLE rate_limits (
  id BYTEA NOT NULL PRIMARY KEY,
  full_at BIGINT NOT NULL
)
-- sqlite: WITHOUT ROWID
;

CREATE TABLE audit_events (
  id BYTEA NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  type TEXT NOT NULL,
  user_id BYTEA,
  session_id BYTEA,
  client_id TEXT,
  actor TEXT NOT NULL,
  ip TEXT,
  detail TEXT NOT NULL
)
-- sqlite: WITHOUT ROWID
;
CREATE INDEX audit_events_by_user ON audit_events (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_by_session ON audit_events (session_id, id) WHERE session_id IS NOT NULL;
`;
