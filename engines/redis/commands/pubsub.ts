/** SUBSCRIBE and its kin, PUBLISH, PUBSUB. */
import { adminOf } from '../admin.ts';
import { CLIENT_PUSHING, type Client } from '../client.ts';
import { closeOverLimit } from '../client-limits.ts';
import type { CommandProc } from '../command.ts';
import { globMatchesText } from '../glob.ts';
import {
  addReplyArrayLen,
  addReplyBulkString,
  addReplyLong,
  addReplyNull,
  addReplyPushLen,
  addReplyRaw,
  addReplySubcommandSyntaxError,
} from '../protocol/reply.ts';
import { type Space, shardSubscriptionCount, subscriptionCount } from '../pubsub.ts';
import type { RedisCore } from '../redis-core.ts';
import { addHelp } from './help.ts';

/** Runs `write` with replies let through although the client may have switched them off: pushes always leave. */
function pushing(c: Client, write: () => void): void {
  const before = c.flags & CLIENT_PUSHING;
  c.flags |= CLIENT_PUSHING;
  write();
  if (before === 0) c.flags &= ~CLIENT_PUSHING;
}

function countFor(c: Client, space: Space): number {
  return space === 'shardChannels' ? shardSubscriptionCount(c) : subscriptionCount(c);
}

function confirm(c: Client, word: string, space: Space, name: string | null): void {
  pushing(c, () => {
    addReplyPushLen(c, 3);
    addReplyBulkString(c, word);
    if (name === null) addReplyNull(c);
    else addReplyBulkString(c, name);
    addReplyLong(c, countFor(c, space));
  });
}

function subscribeTo(word: string, space: Space): CommandProc {
  return (core, c) => {
    const { pubsub } = adminOf(core);
    for (let i = 1; i < c.argc; i++) {
      const name = c.argText(i);
      pubsub.subscribe(c, space, name);
      confirm(c, word, space, name);
    }
  };
}

function unsubscribeFrom(word: string, space: Space): CommandProc {
  return (core, c) => {
    const { pubsub } = adminOf(core);
    const names: string[] = [];
    if (c.argc === 1) names.push(...(c[space] ?? []));
    else for (let i = 1; i < c.argc; i++) names.push(c.argText(i));
    for (const name of names) {
      pubsub.unsubscribe(c, space, name);
      confirm(c, word, space, name);
    }
    if (names.length === 0) confirm(c, word, space, null);
  };
}

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

/** Sends one message to a set of clients. The message's bytes are built at most once for each protocol version. */
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
    const before = c.flags & CLIENT_PUSHING;
    c.flags |= CLIENT_PUSHING;
    addReplyRaw(c, message.at, message.bytes);
    if (before === 0) c.flags &= ~CLIENT_PUSHING;
    closeOverLimit(core, c);
  }
  if (plain !== null) core.heap.free(plain.at);
  if (push !== null) core.heap.free(push.at);
  return clients.size;
}

/** Sends argument 2 of `c` to the channel in argument 1. @returns the number of receivers */
function publish(core: RedisCore, c: Client): number {
  const { pubsub } = adminOf(core);
  const channel = c.argText(1);
  const payload = c.argOff[2]!;
  const length = c.argLen[2]!;
  let receivers = deliver(core, pubsub.subscribers('channels', channel), ['message', channel], payload, length);
  for (const [pattern, clients] of pubsub.patterns) {
    if (!globMatchesText(pattern, channel, false)) continue;
    receivers += deliver(core, clients, ['pmessage', pattern, channel], payload, length);
  }
  return receivers;
}

function publishCommand(core: RedisCore, c: Client): void {
  addReplyLong(c, publish(core, c));
}

function spublishCommand(core: RedisCore, c: Client): void {
  const { pubsub } = adminOf(core);
  const channel = c.argText(1);
  const clients = pubsub.subscribers('shardChannels', channel);
  addReplyLong(c, deliver(core, clients, ['smessage', channel], c.argOff[2]!, c.argLen[2]!));
}

function listNames(space: Space): CommandProc {
  return (core, c) => {
    if (c.argc > 3) {
      addReplySubcommandSyntaxError(c);
      return;
    }
    const pattern = c.argc === 3 ? c.argText(2) : null;
    const names = [...adminOf(core).pubsub[space].keys()];
    const chosen = pattern === null ? names : names.filter((name) => globMatchesText(pattern, name, false));
    addReplyArrayLen(c, chosen.length);
    for (const name of chosen) addReplyBulkString(c, name);
  };
}

function countNames(space: Space): CommandProc {
  return (core, c) => {
    const { pubsub } = adminOf(core);
    addReplyArrayLen(c, (c.argc - 2) * 2);
    for (let i = 2; i < c.argc; i++) {
      const name = c.argText(i);
      addReplyBulkString(c, name);
      addReplyLong(c, pubsub.subscribers(space, name).size);
    }
  };
}

export const pubsubProcs: Readonly<Record<string, CommandProc>> = {
  subscribe: subscribeTo('subscribe', 'channels'),
  psubscribe: subscribeTo('psubscribe', 'patterns'),
  ssubscribe: subscribeTo('ssubscribe', 'shardChannels'),
  unsubscribe: unsubscribeFrom('unsubscribe', 'channels'),
  punsubscribe: unsubscribeFrom('punsubscribe', 'patterns'),
  sunsubscribe: unsubscribeFrom('sunsubscribe', 'shardChannels'),
  publish: publishCommand,
  spublish: spublishCommand,
  'pubsub|channels': listNames('channels'),
  'pubsub|shardchannels': listNames('shardChannels'),
  'pubsub|numsub': countNames('channels'),
  'pubsub|shardnumsub': countNames('shardChannels'),
  'pubsub|numpat': (core, c) => addReplyLong(c, adminOf(core).pubsub.patterns.size),
  'pubsub|help': addHelp([
    'CHANNELS [<pattern>]',
    '    List channels that have subscribers.',
    'NUMPAT',
    '    Count the patterns that are subscribed to.',
    'NUMSUB [<channel> ...]',
    '    Count the subscribers of channels, patterns not included.',
    'SHARDCHANNELS [<pattern>]',
    '    List shard channels that have subscribers.',
    'SHARDNUMSUB [<shardchannel> ...]',
    '    Count the subscribers of shard channels.',
  ]),
};
