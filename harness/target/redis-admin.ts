/** Questions to a Redis-like server, outside the measured traffic, through ioredis (TLS, ACL users, Unix sockets). */
import { Redis } from 'ioredis';
import type { Endpoint } from '../driver/load-plan.ts';
import { redisLedger } from './memory-ledger.ts';
import { type Admin, describeAddress, TargetError, type TargetFacts } from './target.ts';

/** Settings whose values are secrets. */
const SECRET = /^(requirepass|masterauth|masteruser|tls-.*key-file-pass|.*password.*)$/;
const COMMAND_TIMEOUT_MS = 30_000;

/**
 * @param timeoutMs for the connection and the first answer
 * @throws TargetError when nobody answers, or it refuses the credentials
 */
export async function connectRedis(endpoint: Endpoint, timeoutMs: number): Promise<RedisAdmin> {
  const { address } = endpoint;
  const redis = new Redis({
    ...(address.kind === 'unix'
      ? { path: address.path }
      : { host: address.host, port: address.port, ...(address.tls ? { tls: address.tls } : {}) }),
    ...(endpoint.username === null ? {} : { username: endpoint.username }),
    ...(endpoint.password === null ? {} : { password: endpoint.password }),
    db: endpoint.database,
    protocol: 2,
    lazyConnect: true,
    disableClientInfo: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    connectTimeout: timeoutMs,
    commandTimeout: COMMAND_TIMEOUT_MS,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  let lastError = '';
  redis.on('error', (error: Error) => {
    lastError = error.message;
  });
  try {
    await redis.connect();
    const pong = await redis.call('PING');
    if (pong !== 'PONG') throw new Error(`PING was answered by ${JSON.stringify(pong)}`);
  } catch (error) {
    redis.disconnect();
    const text = error instanceof Error ? error.message : String(error);
    const why = text === 'Connection is closed.' && lastError !== '' ? lastError : text;
    throw new TargetError(`Cannot reach ${describeAddress(endpoint)}: ${why}`, { cause: error });
  }
  return new RedisAdmin(redis, endpoint);
}

export class RedisAdmin implements Admin {
  private readonly redis: Redis;
  private readonly endpoint: Endpoint;

  constructor(redis: Redis, endpoint: Endpoint) {
    this.redis = redis;
    this.endpoint = endpoint;
  }

  /** One command; replies as ioredis gives them. */
  call(...args: string[]): Promise<unknown> {
    return this.redis.call(args[0] as string, ...args.slice(1));
  }

  /** INFO of one section as a flat table. */
  async info(section: string): Promise<Record<string, string>> {
    return parseInfo(String(await this.call('INFO', section)));
  }

  async facts(): Promise<TargetFacts> {
    const info = await this.info('server').catch(() => ({}) as Record<string, string>);
    const configuration: Record<string, string> = {};
    // A managed server may refuse CONFIG; a run is possible all the same.
    const pairs = await this.call('CONFIG', 'GET', '*').catch(() => null);
    if (Array.isArray(pairs)) {
      for (let i = 0; i + 1 < pairs.length; i += 2) {
        const name = String(pairs[i]);
        const value = String(pairs[i + 1]);
        configuration[name] = SECRET.test(name) && value !== '' ? '***' : value;
      }
    }
    const size = await this.call('DBSIZE').catch(() => null);
    return {
      version: info['redis_version'] ?? null,
      configuration,
      keysBefore: typeof size === 'number' ? size : null,
    };
  }

  async memory() {
    const info = parseInfo(String(await this.call('INFO', 'everything').catch(() => this.call('INFO'))));
    const stats = await this.call('MEMORY', 'STATS').catch(() => null);
    const size = await this.call('DBSIZE').catch(() => null);
    return redisLedger(info, flattenStats(stats), typeof size === 'number' ? size : null);
  }

  async resetStats(): Promise<void> {
    await this.call('CONFIG', 'RESETSTAT');
  }

  async flushAll(): Promise<void> {
    await this.call('FLUSHDB');
  }

  async deleteKeys(keys: readonly string[]): Promise<number> {
    return keys.length === 0 ? 0 : Number(await this.call('UNLINK', ...keys));
  }

  async countExisting(keys: readonly string[]): Promise<number> {
    return keys.length === 0 ? 0 : Number(await this.call('EXISTS', ...keys));
  }

  close(): void {
    this.redis.disconnect();
  }

  toString(): string {
    return describeAddress(this.endpoint);
  }
}

/** The lines `field:value` of INFO. */
export function parseInfo(text: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields[line.slice(0, colon)] = line.slice(colon + 1).trimEnd();
  }
  return fields;
}

/** MEMORY STATS answers pairs, some of whose values are pairs again. */
function flattenStats(reply: unknown, prefix = 'stats.', into: Record<string, string> = {}): Record<string, string> {
  if (!Array.isArray(reply)) return into;
  for (let i = 0; i + 1 < reply.length; i += 2) {
    const name = `${prefix}${String(reply[i])}`;
    const value: unknown = reply[i + 1];
    if (Array.isArray(value)) flattenStats(value, `${name}.`, into);
    else into[name] = String(value);
  }
  return into;
}
