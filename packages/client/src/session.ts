/** Who is signed in, as Keyturn tells it. */
export interface User {
  readonly id: string;
  readonly username: string;
  readonly email?: string;
  readonly emailVerified?: boolean;
  readonly name?: string;
  readonly roles: readonly string[];
  /** ISO 8601. */
  readonly createdAt?: string;
}

/** One stay of one user on one device. */
export interface Session {
  readonly user: User;
  readonly sessionId: string;
}

/** The session in a reply of the server; undefined when there is none. */
export function readSession({ user, sessionId }: Readonly<Record<string, unknown>>): Session | undefined {
  const { id, username } = (user ?? {}) as Partial<User>;
  if (typeof id !== "string" || typeof username !== "string" || typeof sessionId !== "string")
    return undefined;
  return { user: user as User, sessionId };
}
