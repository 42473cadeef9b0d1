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
const triesMax = 2;

/** What is done to a record, of which this is stored now. */
type Change = (store: Store, stored: StoredCredentials | undefined) => void;

/** Reads, and maybe writes, in one transaction: nobody else writes in between. Resolves to what was read. */
function transact(database: Database, key: string, change: Change): Promise<StoredCredentials | undefined> {
  return new Promise((resolve, reject) => {
    // "strict": on the disk, so that a power cut does not bring an older token back.
    const transaction = database.transaction(storeName, "readwrite", { durability: "strict" });
    const store = transaction.objectStore(storeName);
    const reading = store.get(key);
    let stored: StoredCredentials | undefined;
    reading.onsuccess = () => {
      stored = readStored(reading.result);
      try {
        change(store, stored);
      } catch (error) {
        // A CryptoKey that cannot be stored, as in some private windows. Then nothing is written.
        reject(error);
      }
    };
    transaction.oncomplete = () => resolve(stored);
    transaction.onabort = () => reject(transaction.error);
  });
}

/**
 * Keeps credentials in IndexedDB, for all tabs of this origin, with keys that no script can read. Where IndexedDB
 * cannot be opened or takes no keys (private windows of some browsers), in memory: then they last as long as the page.
 */
export function indexedDbStorage(): CredentialStorage {
  const memory = memoryStorage();
  let isRefused = false;
  let hasOpened = false;
  let opened: Promise<Database> | undefined;

  function connect(): Promise<Database> {
    opened ??= new Promise((resolve, reject) => {
      const opening = (globalThis as unknown as { indexedDB: IndexedDb }).indexedDB.open(databaseName, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(storeName);
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const database = opening.result;
        const leave = () => {
          // Whoever deletes the database must not have to wait for this tab.
          database.close();
          opened = undefined;
        };
        database.onversionchange = leave;
        database.onclose = leave;
        hasOpened = true;
        resolve(database);
      };
    });
    return opened;
  }

  /** Once more with a new connection: browsers lose the old one in the background. Undefined: there is none. */
  async function run(
    key: string,
    change: Change,
  ): Promise<{ stored: StoredCredentials | undefined } | undefined> {
    for (let tries = 1; !isRefused; tries++) {
      try {
        return { stored: await transact(await connect(), key, change) };
      } catch (error) {
        opened = undefined;
        const isLast = tries === triesMax;
        // What was stored there is still there: to go on without it would be to sign out.
        isRefused ||= (error as Error).name === "DataCloneError" || (isLast && !hasOpened);
        if (isLast && !isRefused) throw error;
      }
    }
    return undefined;
  }

  return {
    keepsKeys: true,
    sharedByTabs: true,
    async read(key) {
      const done = await run(key, () => {});
      return done ? done.stored : memory.read(key);
    },
    async replace(key, expected, next) {
      const wasRefused = isRefused;
      const done = await run(key, (store, stored) => {
        if (stored?.refreshToken !== expected) return;
        if (next) store.put(next, key);
        else store.delete(key);
      });
      if (done) return done.stored?.refreshToken === expected;
      // What the database had cannot be in memory.
      return memory.replace(key, wasRefused ? expected : undefined, next);
    },
  };
}
