/**
 * The keys that clients WATCH. Every change of a key asks here, so the question must be cheap: while nobody watches it is one
 * comparison (in RedisCore.signalModifiedKey), else a look-up by the key's hash in a map that has an entry for each watched key, not for
 * each key. The bytes of watched keys lie in the arena.
 */
import { CLIENT_DIRTY_CAS, type Client } from './client.ts';
import { type Db, keyIsExpired } from './db.ts';
import type { RedisCore } from './redis-core.ts';
import { dictFind } from './structures/dict.ts';
import { keyHash } from './structures/key-hash.ts';
import { sdsEquals, sdsFree, sdsLen, sdsNewLen } from './structures/sds.ts';

/** sizeof(listNode) + sizeof(watchedKey): what the original reckons for each key that a client watches. */
export const WATCHED_KEY_BYTES = 80;

/** One key watched by one client. */
export class WatchedKey {
  readonly client: Client;
  readonly db: Db;
  /** An sds in the arena. */
  readonly key: number;
  readonly hash: number;
  /** The key was there but its time had come when WATCH looked: its disappearance is no change then. */
  expired: boolean;

  constructor(client: Client, db: Db, key: number, hash: number, expired: boolean) {
    this.client = client;
    this.db = db;
    this.key = key;
    this.hash = hash;
    this.expired = expired;
  }
}

/** All watched keys of one core. */
export class WatchedKeys {
  private readonly core: RedisCore;
  /** By the key's hash; keys of different databases, and those whose hashes collide, share a list. */
  private readonly byHash = new Map<number, WatchedKey[]>();
  /** Number of pairs of a client and a key. */
  count = 0;

  constructor(core: RedisCore) {
    this.core = core;
  }

  private hashOf(offset: number, length: number): number {
    const h = this.core.heap;
    if (offset === h.knownOffset && length === h.knownLength) return h.knownHash;
    return keyHash(h.u8, h.view, offset, length, h.hashKey);
  }

  /** Lets a client watch a key of its present database; a second time changes nothing. @throws ARENA_EXHAUSTED */
  watch(c: Client, offset: number, length: number): void {
    const h = this.core.heap;
    c.watched ??= [];
    for (const one of c.watched) if (one.db === c.db && sdsEquals(h, one.key, offset, length)) return;
    const key = sdsNewLen(h, offset, length);
    const hash = this.hashOf(offset, length);
    const one = new WatchedKey(c, c.db, key, hash, keyIsExpired(this.core, c.db, offset, length));
    c.watched.push(one);
    const list = this.byHash.get(hash);
    if (list === undefined) this.byHash.set(hash, [one]);
    else list.push(one);
    this.count++;
    this.core.keyListeners++;
  }

  /** Ends all watching of a client. */
  forget(c: Client): void {
    const all = c.watched;
    if (all === null || all.length === 0) return;
    for (const one of all) {
      const list = this.byHash.get(one.hash)!;
      list.splice(list.indexOf(one), 1);
      if (list.length === 0) this.byHash.delete(one.hash);
      sdsFree(this.core.heap, one.key);
    }
    this.count -= all.length;
    this.core.keyListeners -= all.length;
    all.length = 0;
  }

  /** A key was changed: whoever watches it will not get its transaction through. */
  touch(db: Db, offset: number, length: number): void {
    const list = this.byHash.get(this.hashOf(offset, length));
    if (list === undefined) return;
    const h = this.core.heap;
    // A client whose watching ends here leaves the list, so it is walked from its end.
    for (let i = list.length - 1; i >= 0; i--) {
      const one = list[i];
      if (one === undefined || one.db !== db || !sdsEquals(h, one.key, offset, length)) continue;
      if (one.expired) {
        // What had expired before is gone now: logically nothing has changed, but from here on any change counts.
        if (dictFind(h, db.dict, offset, length) === 0) one.expired = false;
        continue;
      }
      this.fail(one.client);
    }
  }

  /**
   * A database is about to lose all its keys.
   * @param replacedBy the database whose keys it gets instead, null: none
   */
  touchAll(emptied: Db, replacedBy: Db | null): void {
    const h = this.core.heap;
    for (const list of [...this.byHash.values()]) {
      for (const one of [...list]) {
        // The failure of an earlier one may have ended this one.
        if (one.db !== emptied || !list.includes(one)) continue;
        const length = sdsLen(h, one.key);
        const before = dictFind(h, emptied.dict, one.key, length) !== 0;
        const after = replacedBy !== null && dictFind(h, replacedBy.dict, one.key, length) !== 0;
        if (!before && !after) continue;
        if (one.expired) {
          if (!after) {
            one.expired = false;
            continue;
          }
          if (keyIsExpired(this.core, replacedBy!, one.key, length)) continue;
        } else if (!before && keyIsExpired(this.core, replacedBy!, one.key, length)) {
          // A key that was not there is replaced by one that has expired.
          one.expired = true;
          continue;
        }
        this.fail(one.client);
      }
    }
  }

  private fail(c: Client): void {
    c.flags |= CLIENT_DIRTY_CAS;
    this.forget(c);
  }

  /** Whether a key that a client watches has expired since. */
  anyExpired(c: Client): boolean {
    for (const one of c.watched ?? []) {
      if (!one.expired && keyIsExpired(this.core, one.db, one.key, sdsLen(this.core.heap, one.key))) return true;
    }
    return false;
  }

  /** Recounts the map against what the clients hold. @throws Error where they differ */
  verify(): void {
    let held = 0;
    for (const c of this.core.clients) held += c?.watched?.length ?? 0;
    let listed = 0;
    for (const list of this.byHash.values()) {
      if (list.length === 0) throw new Error('Broken watched keys: an empty list is kept');
      for (const one of list) {
        if (!one.client.watched!.includes(one)) throw new Error('Broken watched keys: a client does not know of one');
        if (one.hash !== this.hashOf(one.key, sdsLen(this.core.heap, one.key))) {
          throw new Error('Broken watched keys: one lies under a wrong hash');
        }
      }
      listed += list.length;
    }
    if (held !== listed || held !== this.count) {
      throw new Error(`Broken watched keys: clients hold ${held}, ${listed} are listed, ${this.count} counted`);
    }
  }
}
