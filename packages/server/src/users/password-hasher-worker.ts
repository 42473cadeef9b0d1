import { argon2Sync, scryptSync } from "node:crypto";
import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";
import { basename } from "node:path";
import { type MessagePort, parentPort } from "node:worker_threads";
import type { Algorithm } from "@node-rs/argon2";
import type { HashJob, HashReply } from "./hash-protocol.ts";

/*
 * A thread that hashes one password at a time. It is not one of libuv's pool: there a few sign-ins would hold up
 * file reads, DNS look-ups and WebCrypto of everybody else.
 */

type Argon2Job = Extract<HashJob, { kind: "argon2id" | "argon2i" | "argon2d" }>;
type Argon2 = (job: Argon2Job) => Uint8Array;

/** `Algorithm` of @node-rs/argon2, a const enum that no isolated module can read. */
const ALGORITHMS = { argon2d: 0, argon2i: 1, argon2id: 2 } as const;

const port = parentPort as MessagePort;
lowerPriority();
const argon2 = await loadArgon2();
port.on("message", async (job: HashJob) => port.postMessage(await answer(job)));

/**
 * On a busy core the scheduler then prefers the thread that answers requests. Linux schedules threads one by one,
 * and `setPriority` takes a thread's id there; elsewhere it would mean the whole process, so nothing is done.
 */
function lowerPriority(): void {
  if (process.platform !== "linux") return;
  try {
    setPriority(Number(basename(readlinkSync("/proc/thread-self"))), 10);
  } catch {
    // Without /proc, or where it is forbidden: hashing works all the same.
  }
}

/** @node-rs/argon2 is two and a half times as fast as node:crypto's, which steps in where no binary of it fits. */
async function loadArgon2(): Promise<Argon2> {
  try {
    const { hashRawSync } = await import("@node-rs/argon2");
    return (job) =>
      hashRawSync(job.password, {
        algorithm: ALGORITHMS[job.kind] as Algorithm,
        memoryCost: job.memoryKib,
        timeCost: job.passes,
        parallelism: job.lanes,
        outputLen: job.digestBytes,
        salt: job.salt,
      });
  } catch {
    return (job) =>
      argon2Sync(job.kind, {
        message: job.password,
        nonce: job.salt,
        memory: job.memoryKib,
        passes: job.passes,
        parallelism: job.lanes,
        tagLength: job.digestBytes,
      });
  }
}

async function answer(job: HashJob): Promise<HashReply> {
  try {
    switch (job.kind) {
      case "argon2id":
      case "argon2i":
      case "argon2d":
        return { digest: Uint8Array.from(argon2(job)) };
      case "scrypt":
        return { digest: Uint8Array.from(scrypt(job)) };
      case "bcrypt": {
        // Loaded when the first imported hash needs it: most servers never do.
        const { verifySync } = await import("@node-rs/bcrypt");
        return { match: verifySync(job.password, job.text) };
      }
    }
  } catch (error) {
    return { failure: error instanceof Error ? error.message : "unknown" };
  }
}

function scrypt(job: Extract<HashJob, { kind: "scrypt" }>): Buffer {
  const { log2Cost, blockSize, lanes, salt, digestBytes } = job;
  // Exactly what RFC 7914 needs, with a little to spare: node's own default refuses more than 32 MiB.
  const maxmem = 128 * blockSize * (2 ** log2Cost + lanes + 2) + 1024;
  return scryptSync(job.password, salt, digestBytes, { N: 2 ** log2Cost, r: blockSize, p: lanes, maxmem });
}
