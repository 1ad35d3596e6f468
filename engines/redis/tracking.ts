/**
 * CLIENT TRACKING: telling clients which of the keys they have read were changed since, so that they can keep copies. In the default mode
 * the server remembers who read which key (one message for each reader, then the key is forgotten); in broadcasting mode clients
 * name prefixes and hear, once a turn, of every changed key that begins with one.
 *
 * The table of read keys lies on the JavaScript heap, as one map entry a key; `tracking-table-max-keys` bounds it as in the original.
 */
import {
  CLIENT_MULTI,
  CLIENT_PUBSUB,
  CLIENT_PUSHING,
  CLIENT_TRACKING,
  CLIENT_TRACKING_BCAST,
  CLIENT_TRACKING_BROKEN,
  CLIENT_TRACKING_CACHING,
  CLIENT_TRACKING_NOLOOP,
  CLIENT_TRACKING_OPTIN,
  CLIENT_TRACKING_OPTOUT,
  type Client,
} from './client.ts';
import { closeOverLimit } from './client-limits.ts';
import { CMD_PUBSUB, type Command } from './command.ts';
import { findKeys, keyCount, keyIndexes } from './key-specs.ts';
import { addReplyProto } from './protocol/reply.ts';
import type { RedisCore } from './redis-core.ts';

/** Where subscribers of RESP2 hear of changes that are redirected to them. */
const CHANNEL = '__redis__:invalidate';
/** Keys forgotten in one go when there are more than tracking-table-max-keys; more with each time in a row. */
const LIMIT_EFFORT = 100;

const MODES =
  CLIENT_TRACKING_BCAST |
  CLIENT_TRACKING_OPTIN |
  CLIENT_TRACKING_OPTOUT |
  CLIENT_TRACKING_NOLOOP |
  CLIENT_TRACKING_BROKEN;

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

/** Who listens to a prefix, and what has changed under it in this turn: key to its last writer. */
interface Prefix {
  readonly clients: Set<Client>;
  changed: Map<string, Client | null>;
}

export class Tracking {
  private readonly core: RedisCore;
  /** Number of clients that track. */
  clientCount = 0;
  /** Readers by key: one client's id, or several. */
  private readers = new Map<string, number | Set<number>>();
  private readerCount = 0;
  private readonly prefixes = new Map<string, Prefix>();
  /** Keys to be told to the present client when its command has been answered; null: all keys. */
  private pending: (string | null)[] = [];
  private timesOverLimit = 0;

  constructor(core: RedisCore) {
    this.core = core;
  }

  /** For INFO: keys in the table, pairs of key and reader, prefixes. */
  get totalKeys(): number {
    return this.readers.size;
  }
  get totalItems(): number {
    return this.readerCount;
  }
  get totalPrefixes(): number {
    return this.prefixes.size;
  }

  /**
   * Switches tracking on, or changes it.
   * @param redirect id of the client to tell instead, 0: none
   * @param modes CLIENT_TRACKING_ flags
   */
  enable(c: Client, redirect: number, modes: number, prefixes: readonly string[]): void {
    if ((c.flags & CLIENT_TRACKING) === 0) {
      this.clientCount++;
      this.core.keyListeners++;
    }
    c.flags = (c.flags & ~MODES) | CLIENT_TRACKING | modes;
    c.trackingRedirect = redirect;
    if ((modes & CLIENT_TRACKING_BCAST) === 0) return;
    for (const prefix of prefixes.length === 0 ? [''] : prefixes) {
      let entry = this.prefixes.get(prefix);
      if (entry === undefined) this.prefixes.set(prefix, (entry = { clients: new Set(), changed: new Map() }));
      entry.clients.add(c);
      c.trackingPrefixes ??= [];
      if (!c.trackingPrefixes.includes(prefix)) c.trackingPrefixes.push(prefix);
    }
    c.trackingPrefixes?.sort();
  }

  disable(c: Client): void {
    if ((c.flags & CLIENT_TRACKING) === 0) return;
    for (const prefix of c.trackingPrefixes ?? []) {
      const entry = this.prefixes.get(prefix)!;
      entry.clients.delete(c);
      if (entry.clients.size === 0) this.prefixes.delete(prefix);
    }
    c.trackingPrefixes = null;
    c.flags &= ~(CLIENT_TRACKING | CLIENT_TRACKING_CACHING | MODES);
    this.clientCount--;
    this.core.keyListeners--;
  }

  /** A command has read: remembers the keys among the client's arguments if it tracks. */
  remember(c: Client, command: Command): void {
    const { flags } = c;
    if ((flags & CLIENT_TRACKING) === 0 || (flags & CLIENT_TRACKING_BCAST) !== 0) return;
    const caching = (flags & CLIENT_TRACKING_CACHING) !== 0;
    if ((flags & CLIENT_TRACKING_OPTIN) !== 0 && !caching) return;
    if ((flags & CLIENT_TRACKING_OPTOUT) !== 0 && caching) return;
    if ((command.flags & CMD_PUBSUB) !== 0 || !findKeys(c, command, 0, c.argc)) return;
    for (let i = 0; i < keyCount; i++) {
      const key = c.argText(keyIndexes[i]);
      const known = this.readers.get(key);
      if (known === undefined) this.readers.set(key, c.id);
      else if (typeof known !== 'number') {
        if (known.has(c.id)) continue;
        known.add(c.id);
      } else if (known !== c.id) this.readers.set(key, new Set([known, c.id]));
      else continue;
      this.readerCount++;
    }
  }

  /** A key was changed by `writer` (null: by no client, it expired or was evicted). */
  invalidate(offset: number, length: number, writer: Client | null): void {
    if (this.readers.size === 0 && this.prefixes.size === 0) return;
    const key = this.core.heap.latin1(offset, length);
    for (const [prefix, { changed }] of this.prefixes) if (key.startsWith(prefix)) changed.set(key, writer);
    this.forgetKey(key);
  }

  /** Tells the readers of a key, and forgets it. */
  private forgetKey(key: string): void {
    const readers = this.readers.get(key);
    if (readers === undefined) return;
    this.readers.delete(key);
    if (typeof readers === 'number') {
      this.readerCount--;
      this.tellReader(readers, key);
      return;
    }
    this.readerCount -= readers.size;
    for (const id of readers) this.tellReader(id, key);
  }

  private tellReader(id: number, key: string): void {
    const c = this.core.clientsById.get(id);
    if (c === undefined || (c.flags & CLIENT_TRACKING) === 0 || (c.flags & CLIENT_TRACKING_BCAST) !== 0) return;
    if (c === this.core.currentClient) {
      if ((c.flags & CLIENT_TRACKING_NOLOOP) !== 0) return;
      // Its command has not been answered yet: the message must not get into the middle of the reply.
      if (this.core.executing) {
        this.pending.push(key);
        return;
      }
    }
    this.send(c, `*1\r\n${bulk(key)}`);
  }

  /** All keys of one database or all are about to go: whoever tracks is told so, and the table is emptied. */
  flush(): void {
    const core = this.core;
    for (const c of core.clients) {
      if (c === null || (c.flags & CLIENT_TRACKING) === 0) continue;
      if (c === core.currentClient) this.pending.push(null);
      else this.send(c, c.resp === 2 ? '$-1\r\n' : '_\r\n');
    }
    this.readers = new Map();
    this.readerCount = 0;
  }

  /** Whether sendPending has something to do. */
  get hasPending(): boolean {
    return this.pending.length !== 0;
  }

  /** The present client's command has been answered: tells it what it changed itself. */
  sendPending(): void {
    const c = this.core.currentClient;
    const keys = this.pending;
    this.pending = [];
    if (c === null) return;
    for (const key of keys) {
      if (key === null) this.send(c, c.resp === 2 ? '$-1\r\n' : '_\r\n');
      else this.send(c, `*1\r\n${bulk(key)}`);
    }
  }

  /** Sends what has changed under prefixes in this turn. */
  broadcast(): void {
    for (const prefix of [...this.prefixes.keys()].sort()) {
      const entry = this.prefixes.get(prefix)!;
      if (entry.changed.size === 0) continue;
      const { changed } = entry;
      entry.changed = new Map();
      const keys = [...changed.keys()].sort();
      const all = `*${keys.length}\r\n${keys.map(bulk).join('')}`;
      for (const c of entry.clients) {
        if ((c.flags & CLIENT_TRACKING_NOLOOP) === 0) {
          this.send(c, all);
          continue;
        }
        const others = keys.filter((key) => changed.get(key) !== c);
        if (others.length > 0) this.send(c, `*${others.length}\r\n${others.map(bulk).join('')}`);
      }
    }
  }

  /** Forgets keys while there are more than tracking-table-max-keys, the oldest first, with bounded effort. */
  limit(): void {
    const most = this.core.config.trackingTableMaxKeys;
    if (most === 0 || this.readers.size <= most) {
      this.timesOverLimit = 0;
      return;
    }
    let effort = LIMIT_EFFORT * (this.timesOverLimit + 1);
    for (const key of this.readers.keys()) {
      this.forgetKey(key);
      if (this.readers.size <= most) {
        this.timesOverLimit = 0;
        return;
      }
      if (--effort === 0) break;
    }
    this.timesOverLimit++;
  }

  /** Sends a message to a client, or where it has it redirected to. @param value the keys, encoded */
  private send(c: Client, value: string): void {
    let target = c;
    if (c.trackingRedirect !== 0) {
      const redirected = this.core.clientsById.get(c.trackingRedirect);
      if (redirected === undefined) {
        c.flags |= CLIENT_TRACKING_BROKEN;
        if (c.resp > 2) this.push(c, `>2\r\n${bulk('tracking-redir-broken')}:${c.trackingRedirect}\r\n`);
        return;
      }
      target = redirected;
    }
    if (target.resp > 2) this.push(target, `>2\r\n${bulk('invalidate')}${value}`);
    else if (target !== c && (target.flags & CLIENT_PUBSUB) !== 0) {
      this.push(target, `*3\r\n${bulk('message')}${bulk(CHANNEL)}${value}`);
    }
  }

  private push(c: Client, text: string): void {
    const before = c.flags & CLIENT_PUSHING;
    c.flags |= CLIENT_PUSHING;
    addReplyProto(c, text);
    if (before === 0) c.flags &= ~CLIENT_PUSHING;
    closeOverLimit(this.core, c);
  }

  /** Recounts what is counted. @throws Error where it differs */
  verify(): void {
    let items = 0;
    for (const readers of this.readers.values()) items += typeof readers === 'number' ? 1 : readers.size;
    if (items !== this.readerCount)
      throw new Error(`Broken tracking: ${this.readerCount} readers counted, ${items} found`);
    let clients = 0;
    for (const c of this.core.clients) {
      if (c === null || (c.flags & CLIENT_TRACKING) === 0) continue;
      clients++;
      for (const prefix of c.trackingPrefixes ?? []) {
        if (!this.prefixes.get(prefix)?.clients.has(c))
          throw new Error(`Broken tracking: a prefix misses client ${c.id}`);
      }
    }
    if (clients !== this.clientCount)
      throw new Error(`Broken tracking: ${this.clientCount} clients counted, ${clients} found`);
  }
}

/** Ends what CLIENT CACHING said: the command that it was for is over. */
export function endCaching(c: Client): void {
  // In a transaction it is for all of its commands.
  if ((c.flags & CLIENT_MULTI) === 0 && c.lastCommand?.parent?.name !== 'client') c.flags &= ~CLIENT_TRACKING_CACHING;
}
