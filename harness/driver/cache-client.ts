/** The two client libraries behind one face, so that one driver serves both. */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { Redis, type RedisOptions } from 'ioredis';
import { addressText } from './connections.ts';
import type { Endpoint } from './load-plan.ts';

/** A connection attempt of a library may take so long. */
const CONNECT_TIMEOUT_MS = 10_000;
/** memjs would else drop what takes half a second, and hide the very stalls that are to be measured. */
const OPERATION_TIMEOUT_S = 30;

/** One connection of a client library. Error replies and lost connections reject. */
export interface CacheClient {
  get(key: string): Promise<Buffer | null>;
  mget(keys: string[]): Promise<(Buffer | null)[]>;
  /** The following resolve with false when refused as the protocol foresees. `ttlS` 0: none. */
  set(key: string, value: Buffer, ttlS: number): Promise<boolean>;
  add(key: string, value: Buffer, ttlS: number): Promise<boolean>;
  replace(key: string, value: Buffer, ttlS: number): Promise<boolean>;
  append(key: string, value: Buffer): Promise<boolean>;
  delete(key: string): Promise<boolean>;
  touch(key: string, ttlS: number): Promise<boolean>;
  incr(key: string): Promise<boolean>;
  mset(keys: string[], values: Buffer[], ttlS: number): Promise<boolean>;
  /** Bytes through the socket so far. */
  traffic(): { sent: number; received: number };
  /** False once the connection is lost for good. */
  readonly alive: boolean;
  close(): void;
}

class IoredisClient implements CacheClient {
  private readonly redis: Redis;
  alive = true;

  constructor(redis: Redis) {
    this.redis = redis;
    redis.on('end', () => {
      this.alive = false;
    });
    // Failures are told by the commands that they hit.
    redis.on('error', () => {});
  }

  get(key: string): Promise<Buffer | null> {
    return this.redis.getBuffer(key);
  }

  mget(keys: string[]): Promise<(Buffer | null)[]> {
    return this.redis.mgetBuffer(keys);
  }

  async set(key: string, value: Buffer, ttlS: number): Promise<boolean> {
    await (ttlS > 0 ? this.redis.set(key, value, 'EX', ttlS) : this.redis.set(key, value));
    return true;
  }

  async add(key: string, value: Buffer, ttlS: number): Promise<boolean> {
    const reply = ttlS > 0 ? this.redis.set(key, value, 'EX', ttlS, 'NX') : this.redis.set(key, value, 'NX');
    return (await reply) !== null;
  }

  async replace(key: string, value: Buffer, ttlS: number): Promise<boolean> {
    const reply = ttlS > 0 ? this.redis.set(key, value, 'EX', ttlS, 'XX') : this.redis.set(key, value, 'XX');
    return (await reply) !== null;
  }

  async append(key: string, value: Buffer): Promise<boolean> {
    await this.redis.append(key, value);
    return true;
  }

  async delete(key: string): Promise<boolean> {
    return (await this.redis.del(key)) > 0;
  }

  async touch(key: string, ttlS: number): Promise<boolean> {
    return (ttlS > 0 ? await this.redis.expire(key, ttlS) : await this.redis.persist(key)) > 0;
  }

  async incr(key: string): Promise<boolean> {
    await this.redis.incr(key);
    return true;
  }

  async mset(keys: string[], values: Buffer[], ttlS: number): Promise<boolean> {
    if (ttlS > 0) await Promise.all(keys.map((key, i) => this.set(key, values[i]!, ttlS)));
    else await this.redis.mset(...keys.flatMap((key, i) => [key, values[i]!]));
    return true;
  }

  traffic(): { sent: number; received: number } {
    const stream = (this.redis as unknown as { stream?: Socket }).stream;
    return { sent: stream?.bytesWritten ?? 0, received: stream?.bytesRead ?? 0 };
  }

  close(): void {
    this.redis.disconnect(false);
  }
}

/** @throws Error naming the target when it cannot be reached or refuses the log-in */
async function connectIoredis(endpoint: Endpoint): Promise<CacheClient> {
  const { address } = endpoint;
  const options: RedisOptions = {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // A lost connection is opened again a few times, as the raw driver does.
    retryStrategy: (times) => (times < 6 ? 100 : null),
    db: endpoint.database,
    ...(endpoint.username !== null ? { username: endpoint.username } : {}),
    ...(endpoint.password !== null ? { password: endpoint.password } : {}),
    ...(address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }),
    ...(address.kind === 'tcp' && address.tls !== undefined ? { tls: address.tls } : {}),
  };
  const redis = new Redis(options);
  const client = new IoredisClient(redis);
  let last: Error | null = null;
  redis.on('error', (error: Error) => {
    last = error;
  });
  try {
    await redis.connect();
    // A refused AUTH or SELECT is told by the first command.
    await redis.ping();
  } catch (error) {
    redis.disconnect(false);
    throw new Error(`Cannot connect to ${addressText(endpoint)}: ${((last ?? error) as Error).message}`);
  }
  return client;
}

/** The part of memjs that is used; the package brings no types. */
interface Memjs {
  Server: new (
    host: string | number,
    port: string | number,
    username: string,
    password: string,
    options: object,
  ) => MemjsServer;
  Client: new (servers: MemjsServer[], options: object) => MemjsLibraryClient;
}

interface MemjsServer {
  _socket?: Socket;
}

interface MemjsLibraryClient {
  get(key: string): Promise<{ value: Buffer | null }>;
  set(key: string, value: Buffer, options: { expires: number }): Promise<boolean>;
  add(key: string, value: Buffer, options: { expires: number }): Promise<boolean>;
  replace(key: string, value: Buffer, options: { expires: number }): Promise<boolean>;
  append(key: string, value: Buffer): Promise<boolean>;
  delete(key: string): Promise<boolean>;
  touch(key: string, expires: number): Promise<boolean>;
  increment(key: string, amount: number, options: { initial: number }): Promise<{ success: boolean }>;
  close(): void;
}

/** memjs reports "not stored" as an error; the protocol foresees it. */
async function orRefused(operation: Promise<boolean>): Promise<boolean> {
  try {
    return await operation;
  } catch (error) {
    if (/not stored/i.test((error as Error).message)) return false;
    throw error;
  }
}

class MemjsClient implements CacheClient {
  private readonly server: MemjsServer;
  private readonly library: MemjsLibraryClient;

  constructor(server: MemjsServer, library: MemjsLibraryClient) {
    this.server = server;
    this.library = library;
  }

  get alive(): boolean {
    return this.server._socket !== undefined;
  }

  async get(key: string): Promise<Buffer | null> {
    return (await this.library.get(key)).value;
  }

  /** The library has no multi-get: one get for each key, sent together. */
  mget(keys: string[]): Promise<(Buffer | null)[]> {
    return Promise.all(keys.map((key) => this.get(key)));
  }

  set(key: string, value: Buffer, ttlS: number): Promise<boolean> {
    return this.library.set(key, value, { expires: ttlS });
  }

  add(key: string, value: Buffer, ttlS: number): Promise<boolean> {
    return this.library.add(key, value, { expires: ttlS });
  }

  replace(key: string, value: Buffer, ttlS: number): Promise<boolean> {
    return this.library.replace(key, value, { expires: ttlS });
  }

  append(key: string, value: Buffer): Promise<boolean> {
    return orRefused(this.library.append(key, value));
  }

  delete(key: string): Promise<boolean> {
    return this.library.delete(key);
  }

  touch(key: string, ttlS: number): Promise<boolean> {
    return this.library.touch(key, ttlS);
  }

  /** Unlike the raw driver's, the library's increment creates a missing key. */
  async incr(key: string): Promise<boolean> {
    return (await this.library.increment(key, 1, { initial: 0 })).success !== false;
  }

  async mset(keys: string[], values: Buffer[], ttlS: number): Promise<boolean> {
    await Promise.all(keys.map((key, i) => this.set(key, values[i]!, ttlS)));
    return true;
  }

  traffic(): { sent: number; received: number } {
    return { sent: this.server._socket?.bytesWritten ?? 0, received: this.server._socket?.bytesRead ?? 0 };
  }

  close(): void {
    this.server._socket?.destroy();
  }
}

/** @throws Error naming the target when it cannot be reached */
async function connectMemjs(endpoint: Endpoint): Promise<CacheClient> {
  const memjs = createRequire(import.meta.url)('memjs') as Memjs;
  const { address } = endpoint;
  if (address.kind === 'tcp' && address.tls !== undefined) throw new Error('Cannot use TLS with memjs: it has none');
  const options = {
    retries: 1,
    timeout: OPERATION_TIMEOUT_S,
    conntimeout: CONNECT_TIMEOUT_MS / 1_000,
    logger: { log: () => {} },
  };
  // The library hands host and port to net.connect(port, host), where a path in place of the port is a Unix socket.
  const server =
    address.kind === 'unix'
      ? new memjs.Server('', address.path, endpoint.username ?? '', endpoint.password ?? '', options)
      : new memjs.Server(address.host, address.port, endpoint.username ?? '', endpoint.password ?? '', options);
  const client = new MemjsClient(server, new memjs.Client([server], options));
  try {
    await client.get('cachelab:hello');
  } catch (error) {
    throw new Error(`Cannot connect to ${addressText(endpoint)}: ${(error as Error).message}`);
  }
  return client;
}

/** Opens one connection through the library. @throws Error when the target cannot be reached */
export function connectClient(driver: 'ioredis' | 'memjs', endpoint: Endpoint): Promise<CacheClient> {
  return driver === 'ioredis' ? connectIoredis(endpoint) : connectMemjs(endpoint);
}
