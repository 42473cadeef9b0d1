/** The outbox, how far the audit log has been read for notices, and the codes that letters carry. */
export const sql = `
-- No foreign key to users: a notice may speak of an account that is gone by then, and is dropped when it is sent.
-- event_id is the audit event that a notice tells of: each is told once, whichever node reads the log.
CREATE TABLE mails (
  id BYTEA NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  user_id BYTEA,
  address TEXT,
  detail TEXT NOT NULL,
  languages TEXT,
  event_id BYTEA UNIQUE,
  created_at BIGINT NOT NULL,
  next_try_at BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  done_at BIGINT
);
CREATE INDEX mails_by_user ON mails (user_id, kind) WHERE user_id IS NOT NULL;
CREATE INDEX mails_by_next_try ON mails (next_try_at) WHERE done_at IS NULL;

CREATE TABLE mail_position (
  id BIGINT NOT NULL PRIMARY KEY,
  noticed_until BIGINT NOT NULL
);

-- What a letter opens, by digests alone. One row a mail: a mail that is sent again carries another link.
-- asker_digest says in whose hands the six digits are good.
CREATE TABLE mail_codes (
  mail_id BYTEA NOT NULL PRIMARY KEY,
  link_digest BYTEA NOT NULL UNIQUE,
  purpose TEXT NOT NULL,
  user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  email TEXT NOT NULL,
  email_key TEXT NOT NULL,
  code_digest BYTEA,
  asker_digest BYTEA,
  password_changed_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX mail_codes_by_user ON mail_codes (user_id);
CREATE INDEX mail_codes_by_asker ON mail_codes (asker_digest) WHERE asker_digest IS NOT NULL;
CREATE INDEX mail_codes_by_end ON mail_codes (expires_at);
`;
