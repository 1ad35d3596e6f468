import { networkInterfaces } from 'node:os';
import { expect, it } from 'vitest';
import { isOnThisMachine } from '../../harness/run/same-machine.ts';

const at = (host: string) => isOnThisMachine({ kind: 'tcp', host, port: 6379 });

it('knows sockets, loopback and its own addresses for this machine, and others not', async () => {
  expect(await isOnThisMachine({ kind: 'unix', path: '/run/redis.sock' })).toBe(true);
  const own = Object.values(networkInterfaces()).flatMap((one) => one?.map(({ address }) => address) ?? []);
  for (const host of ['127.0.0.1', '127.0.0.53', 'localhost', ...own]) expect(await at(host), host).toBe(true);
  // Addresses that are reserved for documentation.
  for (const host of ['192.0.2.7', '2001:db8::7']) expect(await at(host), host).toBe(false);
});
