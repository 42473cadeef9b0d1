export type ProofReplays = {
  /** False when this key has used this `jti` before; remembers it otherwise. */
  isFirstUse(thumbprint: string, jti: string, nowMs: number): boolean;
};

const always: ProofReplays = { isFirstUse: () => true };

/**
 * The proofs that were used, at most `usesMax`, each for at least `keepMs`: longer than any of them is good. When more
 * come in that time the oldest are forgotten, and those could be used again until their own time is over: refusing
 * the new ones instead would let anybody with a key shut everybody else out. 0 remembers nothing.
 *
 * It is one process's memory: another process does not know what was used here.
 */
export function createProofReplays(usesMax: number, keepMs: number): ProofReplays {
  if (usesMax < 1) return always;
  // Two generations: a use is forgotten with all of its generation, when that has been the old one for a whole time or
  // a whole half of the bound.
  const generationMax = Math.max(1, Math.floor(usesMax / 2));
  let young = new Set<string>();
  let old = new Set<string>();
  let youngSinceMs = Number.NEGATIVE_INFINITY;
  return {
    isFirstUse(thumbprint, jti, nowMs) {
      // Either way: a clock that was set back would never come to the end of the time.
      if (young.size >= generationMax || Math.abs(nowMs - youngSinceMs) >= keepMs) {
        old = young;
        young = new Set();
        youngSinceMs = nowMs;
      }
      // A thumbprint has one length, so that no two pairs make one text.
      const use = thumbprint + jti;
      if (young.has(use) || old.has(use)) return false;
      young.add(use);
      return true;
    },
  };
}
