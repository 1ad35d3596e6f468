/** SUBSCRIBE and its kin, PUBLISH, PUBSUB. */
import { adminOf } from '../admin.ts';
import { CLIENT_PUSHING, type Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { globMatchesText } from '../glob.ts';
import {
  addReplyArrayLen,
  addReplyBulkString,
  addReplyLong,
  addReplyNull,
  addReplyPushLen,
  addReplySubcommandSyntaxError,
} from '../protocol/reply.ts';
import { publish, publishShard } from '../publish.ts';
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

function publishCommand(core: RedisCore, c: Client): void {
  const { pubsub } = adminOf(core);
  addReplyLong(c, publish(core, pubsub, c.argText(1), c.argOff[2], c.argLen[2]));
}

function spublishCommand(core: RedisCore, c: Client): void {
  const { pubsub } = adminOf(core);
  addReplyLong(c, publishShard(core, pubsub, c.argText(1), c.argOff[2], c.argLen[2]));
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
