/** Every event that the audit log can hold. A name is a promise: operators search for it, so it never changes. */
export type AuditEventType =
  | "user.added"
  | "user.registered"
  | "user.updated"
  | "user.disabled"
  | "user.enabled"
  | "user.removed"
  | "user.roles_changed"
  | "role.added"
  | "role.changed"
  | "role.removed"
  | "password.changed"
  | "password.hash_upgraded"
  | "sign_in.failed"
  | "sign_in.limited"
  | "session.started"
  | "session.renewed"
  | "session.ended"
  | "session.reuse_detected"
  | "session.newer_generation_refused"
  | "session.newer_generation_adopted"
  | "passkey.added"
  | "passkey.renamed"
  | "passkey.removed"
  | "passkey.counter_went_back"
  | "totp.added"
  | "totp.removed"
  | "recovery_codes.made"
  | "recovery_code.used"
  | "second_factor.failed"
  | "second_factor.limited"
  | "session.proven_again"
  | "client.added"
  | "client.changed"
  | "client.logout_not_delivered"
  | "client.removed"
  | "client.secret_changed"
  | "consent.granted"
  | "consent.refused"
  | "consent.withdrawn"
  | "code.reused"
  | "token.exchanged"
  | "device.requested"
  | "device.allowed"
  | "device.denied"
  | "provider.added"
  | "provider.removed"
  | "provider.enabled"
  | "provider.disabled"
  | "provider.keeps_tokens"
  | "provider.keeps_no_tokens"
  | "provider.sign_in_refused"
  | "identity.tokens_over"
  | "identity.linked"
  | "identity.unlinked"
  | "email.code_made"
  | "email.change_asked"
  | "email.changed"
  | "email.released"
  | "email.verified"
  | "mail.failed"
  | "database.restored"
  | "key.created"
  | "key.current"
  | "key.retiring"
  | "key.retired";

/** Who did it: the user, the operator (CLI, console), a client for itself, or Keyturn by a rule of its own. */
export type Actor = "user" | "operator" | "client" | "system";

export interface AuditEvent {
  readonly type: AuditEventType;
  readonly actor: Actor;
  readonly userId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly clientId?: string | undefined;
  readonly ip?: string | undefined;
  /** Facts worth keeping, small; never a secret, a token, a password or a full e-mail address. */
  readonly detail?: Readonly<Record<string, string | number | boolean | null>> | undefined;
}

export interface StoredAuditEvent extends AuditEvent {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}
