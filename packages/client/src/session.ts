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
