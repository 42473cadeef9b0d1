import { randomBytes } from "../../primitives/random.ts";

/** 32 letters and digits that nobody confuses: without l, o, 0 and 1. Five bits each. */
const ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789";
const CHARACTERS = 20;

/** A password for a person to copy once: 20 characters, 100 random bits; nothing that a shell or JSON would quote. */
export function randomPassword(): string {
  return Array.from(randomBytes(CHARACTERS), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}
