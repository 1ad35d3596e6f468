/** Bounds on what may wait for a client that does not read, and on how long a silent one may stay. */
import {
  CLIENT_BLOCKED,
  CLIENT_CLOSE_AFTER_REPLY,
  CLIENT_CLOSE_ASAP,
  CLIENT_MONITOR,
  CLIENT_PUBSUB,
  type Client,
} from './client.ts';
import { clientInfo, OUTPUT_CHUNK_BYTES } from './client-info.ts';
import { clientMemoryCron } from './client-memory.ts';
import type { OutputBufferLimit } from './config.ts';
import { LOG_VERBOSE, LOG_WARNING } from './log-levels.ts';
import type { RedisCore } from './redis-core.ts';

const CLIENTS_PER_CRON_MIN = 5;
/** A reply of very many items is compared with the limits once for so many. */
const ITEMS_PER_LOOK = 256;

function limitOf(core: RedisCore, c: Client): OutputBufferLimit {
  const limits = core.config.clientOutputBufferLimit;
  return (c.flags & CLIENT_PUBSUB) !== 0 ? limits.pubsub : limits.normal;
}

/** @returns whether more output waits for the client than its class may have; keeps the time since the soft limit was passed */
function isOverLimit(core: RedisCore, c: Client): boolean {
  const limit = limitOf(core, c);
  if (limit.hardBytes === 0 && limit.softBytes === 0) return false;
  const memory = core.transport.outputMemory(c.conn);
  // As in the original, the buffer that every client has anyway does not count.
  const held = memory <= OUTPUT_CHUNK_BYTES ? 0 : memory;
  if (limit.hardBytes !== 0 && held >= limit.hardBytes) return true;
  if (limit.softBytes === 0 || held < limit.softBytes) {
    c.softLimitSince = 0;
    return false;
  }
  if (c.softLimitSince === 0) {
    c.softLimitSince = core.unixtime;
    return false;
  }
  return core.unixtime - c.softLimitSince > limit.softSeconds;
}

/** Disconnects a client for which too much output waits. To be called after something was added to it. */
export function closeOverLimit(core: RedisCore, c: Client): void {
  core.clientEviction.touch(c);
  if (c.conn < 0 || (c.flags & (CLIENT_CLOSE_ASAP | CLIENT_CLOSE_AFTER_REPLY)) !== 0) return;
  if (!isOverLimit(core, c)) return;
  const info = clientInfo(core, c);
  core.closeClient(c, false);
  core.stats.clientOutputBufferLimitDisconnections++;
  core.log(LOG_WARNING, `Client ${info} scheduled to be closed ASAP for overcoming of output buffer limits.`);
}

/**
 * For commands that a client may ask for any number of items: looks now and then whether too much waits for it by now.
 * @param item number of the present item, counted by ones
 * @returns whether the rest of the reply still has a reader
 */
export function stillAnswered(core: RedisCore, c: Client, item: number): boolean {
  if (item % ITEMS_PER_LOOK === 0) closeOverLimit(core, c);
  return (c.flags & CLIENT_CLOSE_ASAP) === 0;
}

/** @returns whether a limit on waiting output applies to the client at all */
export function hasOutputLimit(core: RedisCore, c: Client): boolean {
  const limit = limitOf(core, c);
  return limit.hardBytes !== 0 || limit.softBytes !== 0;
}

/**
 * Disconnects a client whose unfinished request has grown too long.
 * @param bytes of input that wait to be understood
 * @returns whether it was disconnected
 */
export function closeOverQueryLimit(core: RedisCore, c: Client, bytes: number): boolean {
  if (bytes <= core.config.clientQueryBufferLimit) return false;
  const info = clientInfo(core, c);
  core.closeClient(c, false);
  core.stats.clientQueryBufferLimitDisconnections++;
  core.log(LOG_WARNING, `Closing client that reached max query buffer length: ${info}`);
  return true;
}

/** As in the original, each client's buffers are looked at once a second, and those of a few clients with every call. */
function resizeSome(core: RedisCore): void {
  const { clients, clientCount } = core;
  const wanted = Math.max(Math.floor(clientCount / core.hz), Math.min(clientCount, CLIENTS_PER_CRON_MIN));
  for (let seen = 0, looked = 0; seen < wanted && looked < clients.length; looked++) {
    core.nextCronClient = (core.nextCronClient + 1) % clients.length;
    const c = clients[core.nextCronClient];
    if (c === null) continue;
    clientMemoryCron(core, c);
    seen++;
  }
}

/** What the cron looks after for each client: idle ones with `timeout`, the soft limits of those that stopped reading. */
export function clientsCron(core: RedisCore): void {
  const timeout = core.config.timeout;
  resizeSome(core);
  for (const c of core.clients) {
    if (c === null) continue;
    core.clientEviction.touch(c);
    closeOverLimit(core, c);
    if (timeout === 0 || (c.flags & (CLIENT_PUBSUB | CLIENT_BLOCKED | CLIENT_MONITOR)) !== 0) continue;
    if (core.unixtime - c.lastInteraction > timeout) {
      core.log(LOG_VERBOSE, 'Closing idle client');
      core.closeClient(c, false);
    }
  }
}
