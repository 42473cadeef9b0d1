/** What a hashing thread is asked: to derive bytes from a password, or to check a bcrypt hash. */
export type HashJob =
  | {
      readonly kind: "argon2id" | "argon2i" | "argon2d";
      readonly password: string;
      readonly salt: Uint8Array<ArrayBuffer>;
      readonly digestBytes: number;
      readonly memoryKib: number;
      readonly passes: number;
      readonly lanes: number;
    }
  | {
      readonly kind: "scrypt";
      readonly password: string;
      readonly salt: Uint8Array<ArrayBuffer>;
      readonly digestBytes: number;
      readonly log2Cost: number;
      readonly blockSize: number;
      readonly lanes: number;
    }
  | { readonly kind: "bcrypt"; readonly password: string; readonly text: string };

/** The answer: bytes for a derivation, a yes or no for bcrypt, or why it could not be done (never a password). */
export type HashReply =
  | { readonly digest: Uint8Array }
  | { readonly match: boolean }
  | { readonly failure: string };
