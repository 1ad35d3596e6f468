/** Where a Memcached-like server listens: TCP addresses and names, a Unix socket, sockets for datagrams. */
import { lookup } from 'node:dns/promises';
import { chmodSync } from 'node:fs';
import { isIP } from 'node:net';
import type { EventLoop, Listener } from '../io/event-loop.ts';
import { removeStaleSocket } from '../io/stale-socket.ts';
import type { Core } from '../memcached/core.ts';
import { EVERYWHERE } from './listen-addresses.ts';
import { announceListener } from './memcached-announce.ts';
import type { MemcachedOptions } from './memcached-options.ts';
import { EX_OSERR, OptionError } from './option-error.ts';
import type { BoundPort } from './port-file.ts';

/** The bits of -a that count. */
const PERMISSIONS = 0o777;
/** What the original calls an error number. */
const ERROR_TEXTS: Record<string, string> = {
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EACCES: 'Permission denied',
  ENOENT: 'No such file or directory',
  EINVAL: 'Invalid argument',
};

/** A listening socket, and which of the addresses of -l it stands for. */
export interface PlacedListener {
  readonly listener: Listener;
  readonly place: number;
}

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
): Promise<PlacedListener[]> {
  const { settings } = options;
  if (settings.socketPath !== null) {
    try {
      removeStaleSocket(settings.socketPath);
      const mode = settings.access & PERMISSIONS;
      const listener = await loop.listenUnix(settings.socketPath, settings.backlog, mode);
      // The loop takes 0 for "as the umask has it".
      if (mode === 0) chmodSync(settings.socketPath, 0);
      announceListener(core, listener, 'unix');
      return [{ listener, place: 0 }];
    } catch (error) {
      throw listenError(`failed to listen on UNIX socket: ${settings.socketPath}`, error, false);
    }
  }
  const listeners: PlacedListener[] = [];
  for (const [place, { host, port }] of options.listen.entries()) {
    const what = whatFor(options, `TCP port ${port}`);
    try {
      await eachAddress(host, async (address) => {
        const listener = await loop.listenTcp(address, port, settings.backlog);
        announceListener(core, listener, 'tcp');
        listeners.push({ listener, place });
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
      throw listenError(whatFor(options, `UDP port ${udpPort}`), error);
    }
  }
  return sockets;
}

async function addressesOf(host: string): Promise<string[]> {
  if (host === EVERYWHERE) return ['0.0.0.0', '::'];
  if (isIP(host) !== 0) return [host];
  // Node takes no name for loopback, C for a name that nobody has.
  if (host === '') throw Object.assign(new Error('No host is named'), { code: 'ENOTFOUND' });
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** A name may stand for several addresses. As in the original those whose port is taken are left out as long as one is free. */
async function eachAddress(host: string, open: (address: string) => Promise<void>): Promise<void> {
  const addresses = await addressesOf(host);
  let opened = 0;
  let taken: unknown = null;
  for (const address of addresses) {
    try {
      await open(address);
      opened++;
    } catch (error) {
      const { code } = error as { code?: string };
      const isWithoutIpv6 = host === EVERYWHERE && address === '::';
      if (code !== 'EADDRINUSE' && !isWithoutIpv6) throw error;
      taken = error;
    }
  }
  if (opened === 0) throw taken;
}

function whatFor({ settings }: MemcachedOptions, port: string): string {
  return `failed to listen on ${settings.inter === null ? port : `one of interface(s) ${settings.inter}`}`;
}

/** In the original's words: what the system said of the last address, and then what was wanted. */
function listenError(what: string, error: unknown, isNetwork = true): OptionError {
  const code = (error as { code?: string }).code ?? '';
  // A port that is taken may be so on one of several addresses only: there the original speaks of it at the end.
  if (code === 'EADDRINUSE' && isNetwork) return new OptionError(`${what}: ${ERROR_TEXTS[code]}`, EX_OSERR);
  const isName = code === 'ENOTFOUND' || code.startsWith('EAI_');
  const reason = isName
    ? 'getaddrinfo(): Name or service not known'
    : `bind(): ${ERROR_TEXTS[code] ?? (error as Error).message}`;
  return new OptionError(`${reason}\n${what}: ${ERROR_TEXTS['EINVAL']}`, EX_OSERR);
}
