import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { HashJob } from "./hash-protocol.ts";
import { createHashThreads } from "./hash-threads.ts";

describe("hashing threads", () => {
  const job = (memoryKib = 7168): HashJob => ({
    kind: "argon2id",
    password: "correct horse",
    salt: new Uint8Array(16),
    digestBytes: 32,
    memoryKib,
    passes: 1,
    lanes: 1,
  });

  test("start with the first job, never more than allowed, and what exceeds the queue is busy", async () => {
    const threads = createHashThreads({ threadsMax: 2, waitingMax: 3 });
    assert.equal(threads.count(), 0);
    const replies = await Promise.all(Array.from({ length: 10 }, () => threads.run(job())));
    assert.equal(threads.count(), 2);
    // Two at work and three waiting: the other five came when the queue was full.
    assert.equal(replies.filter((reply) => reply === "busy").length, 5);
    const digests = replies.filter((reply) => reply !== "busy").map((reply) => JSON.stringify(reply));
    assert.equal(new Set(digests).size, 1);
    assert.notEqual(await threads.run(job()), "busy");
    await threads.close();
    assert.equal(threads.count(), 0);
    await assert.rejects(threads.run(job()));
  });

  test("end after idleness and start again when there is work", async () => {
    const threads = createHashThreads({ threadsMax: 1, waitingMax: 3, idleMilliseconds: 1 });
    await threads.run(job());
    for (let i = 0; i < 500 && threads.count() > 0; i++) await delay(2);
    assert.equal(threads.count(), 0);
    assert.notEqual(await threads.run(job()), "busy");
    await threads.close();
  });

  test("a thread that dies fails its own job only and is replaced", async () => {
    const threads = createHashThreads({ threadsMax: 1, waitingMax: 3 });
    await threads.run(job());
    const broken = assert.rejects(threads.run(job(65536)), /ended before its work was done/);
    const next = threads.run(job());
    await threads.kill();
    await broken;
    assert.ok("digest" in ((await next) as object));
    await threads.close();
  });

  test("a job that the algorithm refuses is answered with a failure, and the thread lives", async () => {
    const threads = createHashThreads({ threadsMax: 1, waitingMax: 3 });
    const reply = await threads.run(job(1));
    assert.ok(reply !== "busy" && "failure" in reply);
    assert.ok("digest" in ((await threads.run(job())) as object));
    await threads.close();
  });

  test("closing rejects what waits", async () => {
    const threads = createHashThreads({ threadsMax: 1, waitingMax: 5 });
    const all = [job(65536), job(), job()].map((each) => threads.run(each));
    const settled = Promise.allSettled(all);
    await threads.close();
    assert.deepEqual(new Set((await settled).map(({ status }) => status)), new Set(["rejected"]));
  });
});
