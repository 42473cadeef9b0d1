import { type CredentialStorage, readStored, type StoredCredentials } from "./credential-storage.ts";
import { memoryStorage } from "./memory-storage.ts";

/** What is used of IndexedDB. */
interface Result<T> {
  readonly result: T;
  readonly error: unknown;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}

interface Store {
  get(key: string): Result<unknown>;
  put(value: unknown, key: string): unknown;
  delete(key: string): unknown;
}

interface Transaction {
  readonly error: unknown;
  oncomplete: (() => void) | null;
  onabort: (() => void) | null;
  objectStore(name: string): Store;
  abort(): void;
}

interface Database {
  onversionchange: (() => void) | null;
  onclose: (() => void) | null;
  createObjectStore(name: string): unknown;
  transaction(name: string, mode: "readwrite", options: { durability: "strict" }): Transaction;
  close(): void;
}

interface Opening extends Result<Database> {
  onupgradeneeded: (() => void) | null;
}

interface IndexedDb {
  open(name: string, version: number): Opening;
}

const databaseName = "keyturn";
const storeName = "credentials";
const opensMax = 2;

function open(): Promise<Database> {
  return new Promise((resolve, reject) => {
    const opening = (globalThis as unknown as { indexedDB: IndexedDb }).indexedDB.open(databaseName, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(storeName);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

/** What a change makes of what is stored: undefined leaves it, null removes it. */
type Change = (stored: StoredCredentials | undefined) => StoredCredentials | null | undefined;

/** Reads, and maybe writes, in one transaction: nobody else writes in between. Resolves to what was read. */
function transact(database: Database, key: string, change: Change): Promise<StoredCredentials | undefined> {
  return new Promise((resolve, reject) => {
    // "strict": on the disk, so that a power cut does not bring an older token back.
    const transaction = database.transaction(storeName, "readwrite", { durability: "strict" });
    const store = transaction.objectStore(storeName);
    const reading = store.get(key);
    let stored: StoredCredentials | undefined;
    let failure: unknown;
    reading.onsuccess = () => {
      stored = readStored(reading.result);
      const next = change(stored);
      try {
        if (next === null) store.delete(key);
        else if (next !== undefined) store.put(next, key);
      } catch (error) {
        // A CryptoKey that cannot be stored, as in some private windows.
        failure = error;
        transaction.abort();
      }
    };
    transaction.oncomplete = () => resolve(stored);
    transaction.onabort = () => reject(failure ?? transaction.error);
  });
}

/**
 * Keeps credentials in IndexedDB, for all tabs of this origin, with keys that no script can read. Where IndexedDB
 * cannot be opened or takes no keys (private windows of some browsers), in memory: then they last as long as the page.
 */
export function indexedDbStorage(): CredentialStorage {
  const memory = memoryStorage();
  let isRefused = false;
  let hasWorked = false;
  let opened: Promise<Database> | undefined;

  function connect(): Promise<Database> {
    if (opened === undefined) {
      const forget = () => {
        opened = undefined;
      };
      opened = open().then((database) => {
        // Whoever deletes the database must not have to wait for this tab.
        database.onversionchange = () => {
          database.close();
          forget();
        };
        database.onclose = forget;
        return database;
      });
      opened.catch(forget);
    }
    return opened;
  }

  /** Once more with a new connection: browsers lose the old one in the background. Undefined: there is none. */
  async function run(
    key: string,
    change: Change,
  ): Promise<{ stored: StoredCredentials | undefined } | undefined> {
    for (let opens = 1; ; opens++) {
      let database: Database;
      try {
        database = await connect();
      } catch (error) {
        if (opens < opensMax) continue;
        // What is stored there is still there: to go on without it would be to sign out.
        if (hasWorked) throw error;
        isRefused = true;
        return undefined;
      }
      try {
        const stored = await transact(database, key, change);
        hasWorked = true;
        return { stored };
      } catch (error) {
        opened = undefined;
        if (opens === opensMax || (error as Error).name === "DataCloneError") throw error;
      }
    }
  }

  return {
    keepsKeys: true,
    sharedByTabs: true,
    async read(key) {
      if (isRefused) return memory.read(key);
      return (await run(key, () => undefined))?.stored;
    },
    async replace(key, expected, next) {
      if (isRefused) return memory.replace(key, expected, next);
      const isExpected: Change = (stored) => (stored?.refreshToken === expected ? (next ?? null) : undefined);
      try {
        const done = await run(key, isExpected);
        if (done !== undefined) return done.stored?.refreshToken === expected;
      } catch (error) {
        if ((error as Error).name !== "DataCloneError") throw error;
        isRefused = true;
      }
      return memory.replace(key, undefined, next);
    },
  };
}
