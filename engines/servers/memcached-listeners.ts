/** Where a Memcached-like server listens: TCP addresses and names, a Unix socket, sockets for datagrams. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { EventLoop, Listener } from '../io/event-loop.ts';
import { removeStaleSocket } from '../io/stale-socket.ts';
import type { Core } from '../memcached/core.ts';
import { announceListener } from './memcached-announce.ts';
import type { MemcachedOptions } from './memcached-options.ts';
import { EX_OSERR, OptionError } from './option-error.ts';
import type { BoundPort } from './port-file.ts';

/** What the original calls an error number. */
const ERROR_TEXTS: Record<string, string> = {
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EACCES: 'Permission denied',
  ENOENT: 'No such file or directory',
  EINVAL: 'Invalid argument',
};

/**
 * @param core told of each
 * @param bound gets the ports
 * @returns the listeners in the order of -l. @throws OptionError when one of them cannot be had
 */
export async function listen(
  core: Core,
  loop: EventLoop,
  options: MemcachedOptions,
  bound: BoundPort[],
): Promise<Listener[]> {
  const { settings } = options;
  if (settings.socketPath !== null) {
    try {
      removeStaleSocket(settings.socketPath);
      const listener = await loop.listenUnix(settings.socketPath, settings.backlog, settings.access);
      announceListener(core, listener, 'unix');
      return [listener];
    } catch (error) {
      throw listenError(`failed to listen on UNIX socket: ${settings.socketPath}`, error);
    }
  }
  const listeners: Listener[] = [];
  for (const { host, port } of options.listen) {
    const what =
      settings.inter === null
        ? `failed to listen on TCP port ${port}`
        : `failed to listen on one of interface(s) ${settings.inter}`;
    try {
      await eachAddress(host, async (address) => {
        const listener = await loop.listenTcp(address, port, settings.backlog);
        announceListener(core, listener, 'tcp');
        listeners.push(listener);
        bound.push({ transport: 'TCP', address, port: listener.port });
      });
    } catch (error) {
      throw listenError(what, error);
    }
  }
  return listeners;
}

/**
 * Opens the sockets for datagrams of -U on the addresses of -l.
 * @param open opens one
 * @throws OptionError
 */
export async function listenUdp<T extends { port: number }>(
  options: MemcachedOptions,
  bound: BoundPort[],
  open: (host: string, port: number) => Promise<T>,
): Promise<T[]> {
  const { udpPort, socketPath } = options.settings;
  if (udpPort === 0 || socketPath !== null) return [];
  const sockets: T[] = [];
  for (const { host, port } of options.listenUdp) {
    try {
      await eachAddress(host, async (address) => {
        const socket = await open(address, port);
        sockets.push(socket);
        bound.push({ transport: 'UDP', address, port: socket.port });
      });
    } catch (error) {
      throw listenError(`failed to listen on UDP port ${udpPort}`, error);
    }
  }
  return sockets;
}

/** A name may stand for several addresses. As in the original those whose port is taken are left out as long as one is free. */
async function eachAddress(host: string, open: (address: string) => Promise<void>): Promise<void> {
  const addresses = isIP(host) !== 0 ? [host] : (await lookup(host, { all: true })).map(({ address }) => address);
  let opened = 0;
  let taken: unknown = null;
  for (const address of addresses) {
    try {
      await open(address);
      opened++;
    } catch (error) {
      if ((error as { code?: string }).code !== 'EADDRINUSE') throw error;
      taken = error;
    }
  }
  if (opened === 0) throw taken;
}

function listenError(what: string, error: unknown): OptionError {
  const code = (error as { code?: string }).code ?? '';
  return new OptionError(`${what}: ${ERROR_TEXTS[code] ?? (error as Error).message}`, EX_OSERR);
}
