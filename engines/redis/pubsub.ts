/**
 * Who is subscribed to what. Channel names are strings of one byte a character. This bookkeeping lies on the JavaScript heap: it grows
 * with subscriptions, not with keys.
 */
import { CLIENT_PUBSUB, type Client } from './client.ts';

/** A space of names: the channels, the patterns, or the shard channels. */
export type Space = 'channels' | 'patterns' | 'shardChannels';

const none: ReadonlySet<Client> = new Set();

export class PubSub {
  readonly channels = new Map<string, Set<Client>>();
  readonly patterns = new Map<string, Set<Client>>();
  readonly shardChannels = new Map<string, Set<Client>>();

  /** @returns whether this is new */
  subscribe(c: Client, space: Space, name: string): boolean {
    c[space] ??= new Set();
    if (c[space].has(name)) return false;
    c[space].add(name);
    let clients = this[space].get(name);
    if (clients === undefined) this[space].set(name, (clients = new Set()));
    clients.add(c);
    c.flags |= CLIENT_PUBSUB;
    return true;
  }

  /** @returns whether it was subscribed */
  unsubscribe(c: Client, space: Space, name: string): boolean {
    if (c[space]?.delete(name) !== true) return false;
    const clients = this[space].get(name);
    clients?.delete(c);
    if (clients?.size === 0) this[space].delete(name);
    if (subscriptionCount(c) + shardSubscriptionCount(c) === 0) c.flags &= ~CLIENT_PUBSUB;
    return true;
  }

  /** Takes a client out of everything. */
  forget(c: Client): void {
    if (c.channels === null && c.patterns === null && c.shardChannels === null) return;
    for (const space of ['channels', 'patterns', 'shardChannels'] as const) {
      for (const name of [...(c[space] ?? [])]) this.unsubscribe(c, space, name);
    }
  }

  subscribers(space: Space, name: string): ReadonlySet<Client> {
    return this[space].get(name) ?? none;
  }

  /** Recounts both sides against each other. @throws Error where they differ */
  verify(clients: Iterable<Client>): void {
    for (const space of ['channels', 'patterns', 'shardChannels'] as const) {
      let fromClients = 0;
      for (const c of clients) {
        for (const name of c[space] ?? []) {
          fromClients++;
          if (!this[space].get(name)?.has(c)) throw new Error(`Subscriptions differ: client ${c.id}, ${space} ${name}`);
        }
      }
      let fromNames = 0;
      for (const [name, set] of this[space]) {
        if (set.size === 0) throw new Error(`Subscriptions differ: ${space} ${name} has an empty set`);
        fromNames += set.size;
      }
      if (fromNames !== fromClients)
        throw new Error(`Subscriptions differ: ${fromNames} ${space}, ${fromClients} held`);
    }
  }
}

/** Channels and patterns of a client. */
export function subscriptionCount(c: Client): number {
  return (c.channels?.size ?? 0) + (c.patterns?.size ?? 0);
}

export function shardSubscriptionCount(c: Client): number {
  return c.shardChannels?.size ?? 0;
}
