/** Sending a message to whoever is subscribed. Used by PUBLISH, and by the server itself for keyspace events. */
import { CLIENT_PUSHING, type Client } from './client.ts';
import { closeOverLimit } from './client-limits.ts';
import { globMatchesText } from './glob.ts';
import { addReplyRaw } from './protocol/reply.ts';
import type { PubSub } from './pubsub.ts';
import type { RedisCore } from './redis-core.ts';

/** A message encoded once, for all receivers of one protocol version. */
function encodeMessage(core: RedisCore, head: string, payload: number, length: number): { at: number; bytes: number } {
  const heap = core.heap;
  const bytes = head.length + length + 2;
  const at = heap.alloc(bytes);
  let p = heap.putLatin1(head, at);
  heap.copy(payload, p, length);
  p += length;
  heap.u8[p] = 13;
  heap.u8[p + 1] = 10;
  return { at, bytes };
}

/** Lets bytes leave to a client although it may have switched replies off: pushes always leave. */
function pushRaw(core: RedisCore, c: Client, at: number, bytes: number): void {
  const before = c.flags & CLIENT_PUSHING;
  c.flags |= CLIENT_PUSHING;
  addReplyRaw(c, at, bytes);
  if (before === 0) c.flags &= ~CLIENT_PUSHING;
  closeOverLimit(core, c);
}

/**
 * Sends one message to a set of clients. The message's bytes are built at most once for each protocol version.
 * @param words what stands before the payload: kind, pattern, channel
 * @returns the number of receivers
 */
function deliver(
  core: RedisCore,
  clients: ReadonlySet<Client>,
  words: readonly string[],
  payload: number,
  length: number,
): number {
  if (clients.size === 0) return 0;
  let body = '';
  for (const word of words) body += `$${word.length}\r\n${word}\r\n`;
  body += `$${length}\r\n`;
  let plain: { at: number; bytes: number } | null = null;
  let push: { at: number; bytes: number } | null = null;
  for (const c of clients) {
    let message: { at: number; bytes: number };
    if (c.resp === 2) message = plain ??= encodeMessage(core, `*${words.length + 1}\r\n${body}`, payload, length);
    else message = push ??= encodeMessage(core, `>${words.length + 1}\r\n${body}`, payload, length);
    pushRaw(core, c, message.at, message.bytes);
  }
  if (plain !== null) core.heap.free(plain.at);
  if (push !== null) core.heap.free(push.at);
  return clients.size;
}

/**
 * Sends arena bytes to a channel.
 * @returns the number of receivers; one that is subscribed by several patterns counts for each
 */
export function publish(core: RedisCore, pubsub: PubSub, channel: string, payload: number, length: number): number {
  let receivers = deliver(core, pubsub.subscribers('channels', channel), ['message', channel], payload, length);
  for (const [pattern, clients] of pubsub.patterns) {
    if (!globMatchesText(pattern, channel, false)) continue;
    receivers += deliver(core, clients, ['pmessage', pattern, channel], payload, length);
  }
  return receivers;
}

/** The same for a shard channel, which no pattern reaches. */
export function publishShard(
  core: RedisCore,
  pubsub: PubSub,
  channel: string,
  payload: number,
  length: number,
): number {
  return deliver(core, pubsub.subscribers('shardChannels', channel), ['smessage', channel], payload, length);
}
