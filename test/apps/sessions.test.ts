/** express-session with connect-redis: sessions of a web application in Redis. */
import http from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { RedisStore } from 'connect-redis';
import { createClient } from 'redis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { onBothServers } from './servers.ts';

interface Session {
  visits?: number;
  destroy(done: (error: unknown) => void): void;
  regenerate(done: (error: unknown) => void): void;
}

type Middleware = (request: http.IncomingMessage, response: http.ServerResponse, next: () => void) => void;
// It brings no types.
const session = createRequire(import.meta.url)('express-session') as (options: object) => Middleware;

onBothServers('a web application with sessions', (server) => {
  let client: ReturnType<typeof createClient>;
  let store: RedisStore;
  let web: http.Server;
  let origin = '';

  beforeEach(async () => {
    client = createClient({ socket: { path: server().socket, tls: false } });
    await client.connect();
    store = new RedisStore({ client, prefix: 'app:', ttl: 100 });
    const middleware = session({ store, secret: 'a secret', resave: false, saveUninitialized: false });
    web = http.createServer((request, response) => {
      middleware(request, response, () => {
        const mine = (request as unknown as { session: Session }).session;
        const end = (text: unknown) => response.end(String(text));
        if (request.url === '/leave') mine.destroy((error) => end(error ?? 'bye'));
        else if (request.url === '/renew') mine.regenerate((error) => end(error ?? 'renewed'));
        else {
          mine.visits = (mine.visits ?? 0) + 1;
          end(mine.visits);
        }
      });
    });
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    await new Promise((resolve) => web.close(resolve));
    client.destroy();
  });

  /** A browser with one cookie. */
  function browser(): { get(path: string): Promise<string> } {
    let cookie = '';
    return {
      async get(path) {
        const response = await fetch(origin + path, { headers: { cookie, connection: 'close' } });
        cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
        return response.text();
      },
    };
  }

  it('counts the visits of each browser, in keys that expire', async () => {
    const one = browser();
    const other = browser();
    expect([await one.get('/'), await one.get('/'), await other.get('/'), await one.get('/')]).toEqual([
      '1',
      '2',
      '1',
      '3',
    ]);
    const keys = await client.keys('app:*');
    expect(keys).toHaveLength(2);
    const ttl = await client.ttl(keys[0]!);
    expect(ttl).toBeGreaterThan(90);
    expect(ttl).toBeLessThanOrEqual(100);
  });

  it('ends and renews sessions', async () => {
    const one = browser();
    await one.get('/');
    expect(await one.get('/leave')).toBe('bye');
    expect(await client.keys('app:*')).toEqual([]);
    expect(await one.get('/')).toBe('1');
    expect(await one.get('/renew')).toBe('renewed');
    expect(await one.get('/')).toBe('1');
  });

  it('lists, counts and clears them', async () => {
    for (let i = 0; i < 30; i++) await browser().get('/');
    expect(await store.length()).toBe(30);
    expect((await store.ids()).length).toBe(30);
    expect((await store.all()).every((one: { visits: number }) => one.visits === 1)).toBe(true);
    await store.clear();
    expect(await store.length()).toBe(0);
  });
});
