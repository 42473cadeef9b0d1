/**
 * Roles as things of their own, roles for one resource, what the feed is asked for at every turn; and what a user was
 * called where they were brought along from.
 *
 * A node of the version before goes on while this runs: what it inserts into user_roles is a role everywhere. It would
 * read a role for one resource as one everywhere, so give the first of those when all nodes are new.
 */
export const sql = `
CREATE TABLE roles (
  name TEXT NOT NULL PRIMARY KEY,
  description TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

-- An empty resource is everywhere.
CREATE TABLE role_permissions (
  role TEXT NOT NULL REFERENCES roles (name) ON DELETE CASCADE,
  permission TEXT NOT NULL,
  resource TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (role, permission, resource)
)
-- sqlite: WITHOUT ROWID
;

-- No foreign key to roles: a role without a definition is a word in a token, without permissions.
ALTER TABLE user_roles RENAME TO user_roles_before;
CREATE TABLE user_roles (
  user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  resource TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (user_id, role, resource)
)
-- sqlite: WITHOUT ROWID
;
INSERT INTO user_roles (user_id, role) SELECT user_id, role FROM user_roles_before;
DROP TABLE user_roles_before;
CREATE INDEX user_roles_by_role ON user_roles (role);

-- Whoever changes what somebody may do holds this row until the commit: the definition of a role and its grants
-- must not change past each other.
CREATE TABLE role_changes (
  id BIGINT NOT NULL PRIMARY KEY,
  count BIGINT NOT NULL
);
INSERT INTO role_changes (id, count) VALUES (1, 0);

-- Every turn asks for the re-mints that concern it; ended sessions, which are many more, are in neither index.
CREATE INDEX revocations_soft ON revocations (session_id) WHERE soft = 1;
CREATE INDEX revocations_wide ON revocations (seq) WHERE session_id IS NULL;

-- The id that a user had in the system they came from.
ALTER TABLE users ADD COLUMN external_id TEXT;
CREATE UNIQUE INDEX users_by_external_id ON users (external_id) WHERE external_id IS NOT NULL;
`;
