import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { StoredCredentials } from "./credential-storage.ts";
import { indexedDbStorage } from "./indexeddb-storage.ts";

/*
 * The ways in which IndexedDB fails, played by a small copy of it. That it works, with keys that cannot be read, is
 * tested in a real browser.
 */

const record = (refreshToken: string): StoredCredentials => ({
  refreshToken,
  sessionId: "s0",
  user: { id: "u", username: "alice", roles: [] },
});

interface Database {
  close(): void;
  onclose?: () => void;
  onversionchange?: () => void;
}

interface Faults {
  /** What opening fails with, how often. */
  opens?: { name: string; times: number };
  /** How many transactions fail. */
  transactions?: number;
  put?: string;
}

/** The disk, which outlives pages, and how often it was opened. */
function install(faults: Faults) {
  const disk = new Map<string, unknown>();
  const seen = { opens: 0, disk, databases: [] as Database[] };
  const fault = (name: string) => Object.assign(new Error(name), { name });
  const later = (act: () => void) => void setImmediate(act);

  function transaction() {
    const changes: (() => void)[] = [];
    let isAborted = false;
    const own = {
      error: fault("AbortError"),
      oncomplete: () => {},
      onabort: () => {},
      abort: () => {
        isAborted = true;
      },
      objectStore: () => ({
        get(key: string) {
          const reading = { result: disk.get(key), onsuccess: () => {} };
          later(() => {
            reading.onsuccess();
            if (isAborted) return own.onabort();
            for (const change of changes) change();
            own.oncomplete();
          });
          return reading;
        },
        put(value: unknown, key: string) {
          if (faults.put !== undefined) throw fault(faults.put);
          changes.push(() => disk.set(key, structuredClone(value)));
        },
        delete: (key: string) => void changes.push(() => disk.delete(key)),
      }),
    };
    if ((faults.transactions ?? 0) > 0) {
      faults.transactions = (faults.transactions ?? 0) - 1;
      throw fault("InvalidStateError");
    }
    return own;
  }

  const indexedDB = {
    open() {
      seen.opens++;
      const database = { createObjectStore() {}, close() {}, transaction };
      seen.databases.push(database);
      const isFailing = (faults.opens?.times ?? 0) >= seen.opens;
      const opening = {
        result: database,
        error: fault(faults.opens?.name ?? ""),
        onupgradeneeded: () => {},
        onsuccess: () => {},
        onerror: () => {},
      };
      later(() => (isFailing ? opening.onerror() : opening.onsuccess()));
      return opening;
    },
  };
  Object.assign(globalThis, { indexedDB });
  return seen;
}

afterEach(() => {
  Reflect.deleteProperty(globalThis, "indexedDB");
});

describe("indexedDbStorage", () => {
  test("replaces only what is still there; another page sees it", async () => {
    install({});
    const storage = indexedDbStorage();
    assert.equal(await storage.read("a"), undefined);
    assert.equal(await storage.replace("a", undefined, record("1")), true);
    assert.equal(await storage.replace("a", undefined, record("2")), false);
    assert.equal(await indexedDbStorage().replace("a", "1", record("2")), true);
    assert.equal((await storage.read("a"))?.refreshToken, "2");
    assert.equal(await storage.replace("a", "2", undefined), true);
    assert.equal(await storage.read("a"), undefined);
  });

  test("that cannot be opened once is opened again", async () => {
    const { disk } = install({ opens: { name: "UnknownError", times: 1 } });
    assert.equal(await indexedDbStorage().replace("a", undefined, record("1")), true);
    assert.equal(disk.size, 1);
  });

  test("that cannot be opened at all gives way to memory", async () => {
    const { disk, opens } = install({ opens: { name: "SecurityError", times: 99 } });
    const storage = indexedDbStorage();
    assert.equal(await storage.read("a"), undefined);
    assert.equal(await storage.replace("a", undefined, record("1")), true);
    assert.equal((await storage.read("a"))?.refreshToken, "1");
    assert.equal(await storage.replace("a", "0", record("2")), false);
    assert.deepEqual([disk.size, opens], [0, 0]);
  });

  test("that is not there any more gives way to memory", async () => {
    const storage = indexedDbStorage();
    assert.equal(await storage.replace("a", undefined, record("1")), true);
    assert.equal((await storage.read("a"))?.refreshToken, "1");
  });

  test("that takes no keys gives way to memory", async () => {
    const { disk } = install({ put: "DataCloneError" });
    const storage = indexedDbStorage();
    assert.equal(await storage.replace("a", undefined, record("1")), true);
    assert.equal((await storage.read("a"))?.refreshToken, "1");
    assert.equal(disk.size, 0);
  });

  test("a connection that was lost is made anew, without anybody noticing", async () => {
    const faults: Faults = {};
    const seen = install(faults);
    const storage = indexedDbStorage();
    await storage.replace("a", undefined, record("1"));
    faults.transactions = 1;
    assert.equal((await storage.read("a"))?.refreshToken, "1");
    seen.databases.at(-1)?.onclose?.();
    assert.equal((await storage.read("a"))?.refreshToken, "1");
    seen.databases.at(-1)?.onversionchange?.();
    assert.equal((await storage.read("a"))?.refreshToken, "1");
    assert.equal(seen.opens, 4);
  });

  test("that was open and cannot be opened again rejects: whoever was signed in still is", async () => {
    const faults: Faults = {};
    const seen = install(faults);
    const storage = indexedDbStorage();
    await storage.replace("a", undefined, record("1"));
    seen.databases.at(-1)?.onclose?.();
    faults.opens = { name: "UnknownError", times: seen.opens + 2 };
    await assert.rejects(storage.read("a"));
    assert.equal((await storage.read("a"))?.refreshToken, "1");
  });

  test("that fails when it was open rejects, and never says that nobody is signed in", async () => {
    const faults: Faults = {};
    install(faults);
    const storage = indexedDbStorage();
    await storage.replace("a", undefined, record("1"));
    faults.transactions = 2;
    await assert.rejects(storage.read("a"));
    assert.equal((await storage.read("a"))?.refreshToken, "1");
    faults.put = "QuotaExceededError";
    await assert.rejects(storage.replace("a", "1", record("2")), { name: "QuotaExceededError" });
  });

  test("that opens and then fails is not given up for memory: what is stored there is still there", async () => {
    const { disk } = install({ transactions: 2 });
    disk.set("a", record("1"));
    const storage = indexedDbStorage();
    await assert.rejects(storage.read("a"));
    assert.equal((await storage.read("a"))?.refreshToken, "1");
  });

  test("what others have written there in another shape is no record, and can be replaced", async () => {
    const { disk } = install({});
    disk.set("a", { refreshToken: 7 });
    const storage = indexedDbStorage();
    assert.equal(await storage.read("a"), undefined);
    assert.equal(await storage.replace("a", undefined, record("1")), true);
  });
});
