import type { KeyObject } from "node:crypto";
import type { SigningAlgorithm } from "../config-schema.ts";

/**
 * The life of a key: *next* is published and does not sign yet; *current* signs; *retiring* is published until
 * the last token it signed has expired; *retired* is history. An algorithm has one next and one current key.
 */
export type KeyState = "next" | "current" | "retiring" | "retired";

/** A key that signs, in memory. The same object as long as the key signs. */
export interface SigningKey {
  /** The `kid`: the thumbprint of the public key (RFC 7638). */
  readonly id: string;
  readonly algorithm: SigningAlgorithm;
  readonly privateKey: KeyObject;
}

/** A key as operators see it. Times are milliseconds since 1970. */
export interface KeyRecord {
  readonly id: string;
  readonly algorithm: SigningAlgorithm;
  readonly state: KeyState;
  readonly createdAt: number;
  readonly currentAt: number | undefined;
  readonly retiringAt: number | undefined;
  readonly retiredAt: number | undefined;
}

export type WithdrawOutcome =
  | { readonly outcome: "withdrawn" | "withdrawn_already" | "unknown_key" }
  /** It signs, or is the next to: a rotation comes first. */
  | { readonly outcome: "still_needed"; readonly state: "next" | "current" };

export type RotateOutcome =
  | {
      readonly outcome: "rotated";
      readonly algorithm: SigningAlgorithm;
      /** The key that signed until now. */
      readonly from: string;
      /** The key that signs from now on. */
      readonly to: string;
      /** The key that is published now, and signs after the next rotation. */
      readonly next: string;
    }
  | {
      /** Verifiers may not know the next key yet, or too many keys are retiring: nothing was changed. */
      readonly outcome: "not_ready";
      readonly algorithm: SigningAlgorithm;
      /** When asking again makes sense; milliseconds since 1970. */
      readonly readyAt: number;
    }
  | {
      /** Another node, or the command line, rotated at the same moment. Once is what was asked for. */
      readonly outcome: "rotated_elsewhere";
      readonly algorithm: SigningAlgorithm;
    }
  | {
      /** There are no keys of that algorithm: no setting asks for it. */
      readonly outcome: "not_in_use";
      readonly algorithm: SigningAlgorithm;
    };
