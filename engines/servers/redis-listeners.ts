/** Where a Redis-like server listens, and who may come in. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { EventLoop, TlsSettings } from '../io/event-loop.ts';
import { isUnixSocket } from '../redis/client-info.ts';
import type { RedisConfig } from '../redis/config.ts';
import { LOG_VERBOSE, LOG_WARNING } from '../redis/log-levels.ts';
import { addReplyProto } from '../redis/protocol/reply.ts';
import type { RedisCore } from '../redis/redis-core.ts';
import { nativeName } from './native-names.ts';
import { systemText } from './redis-conf.ts';
import { readTlsSettings, TlsError } from './redis-tls.ts';

/** Nothing to listen on, or not possible there. */
export class ListenError extends Error {}

/** An optional address ("-" before it) may be missing for one of these reasons. */
const optionalErrors = [
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'ENOPROTOOPT',
  'EPROTONOSUPPORT',
  'ESOCKTNOSUPPORT',
  'EPFNOSUPPORT',
];

const DENIED =
  '-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. ' +
  'In this mode connections are only accepted from the loopback interface. To connect from elsewhere, set a password with ' +
  "'requirepass', or, on a network where everybody may read and change the data, switch it off: 'CONFIG SET protected-mode no' " +
  "from the same host, or 'protected-mode no' in the configuration.\r\n";

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1' || host.startsWith('::ffff:127.') || host === 'localhost';
}

/**
 * @param open whether the default user needs no password
 * @returns why this configuration would expose unprotected data to other machines, or null
 */
export function refusesBeyondLoopback(config: RedisConfig, open: boolean): string | null {
  if ((config.port === 0 && config.tlsPort === 0) || !config.protectedMode || !open) return null;
  const exposed = config.bind.map((address) => address.replace(/^-/, '')).filter((address) => !isLoopback(address));
  if (exposed.length === 0) return null;
  return (
    `Refusing to listen on ${exposed.join(' ')} without a password: set 'requirepass', or 'protected-mode no' if everybody in reach ` +
    'may read and change the data.'
  );
}

async function literal(address: string): Promise<string> {
  if (address === '*') return '0.0.0.0';
  if (address === '::*') return '::';
  return isIP(address) !== 0 ? address : (await lookup(address)).address;
}

/**
 * Opens the configured ports and the Unix socket.
 * @returns the TCP port (the real one where 0 was never asked for: "port 0" means none)
 * @throws ListenError after logging the reason
 */
export async function listenEverywhere(
  loop: EventLoop,
  config: RedisConfig,
  log: (level: number, text: string) => void,
): Promise<number> {
  let listening = 0;
  if (config.port !== 0) {
    listening += await listenOn(config.bind, config.port, 'TCP', log, (address) =>
      loop.listenTcp(address, config.port, config.tcpBacklog),
    );
  }
  if (config.tlsPort !== 0) listening += await listenTls(loop, config, log);
  if (config.unixsocket !== '') {
    try {
      await loop.listenUnix(nativeName(config.unixsocket), config.tcpBacklog, config.unixsocketperm);
      listening++;
    } catch (error) {
      const text = `Failed opening Unix socket: bind: ${systemText(error)}`;
      log(LOG_WARNING, text);
      throw new ListenError(text);
    }
  }
  if (listening === 0) {
    const text = 'Configured to not listen anywhere, exiting.';
    log(LOG_WARNING, text);
    throw new ListenError(text);
  }
  return config.port;
}

/**
 * Opens the TLS port on the same addresses.
 * @throws ListenError after logging the reason
 */
async function listenTls(
  loop: EventLoop,
  config: RedisConfig,
  log: (level: number, text: string) => void,
): Promise<number> {
  let settings: TlsSettings;
  try {
    settings = readTlsSettings(config);
  } catch (error) {
    if (!(error instanceof TlsError)) throw error;
    log(LOG_WARNING, error.message);
    log(LOG_WARNING, 'Failed to configure TLS. Check logs for more info.');
    throw new ListenError(error.message);
  }
  if (loop.listenTls === undefined) {
    const text = `Cannot serve TLS (tls-port ${config.tlsPort}) on the ${loop.name} loop: start with --event-loop libuv or auto`;
    log(LOG_WARNING, text);
    throw new ListenError(text);
  }
  loop.onTlsError = (reason, peer) => log(LOG_VERBOSE, `Error accepting a client connection: ${reason} (addr=${peer})`);
  return listenOn(config.bind, config.tlsPort, 'TLS', log, (address) =>
    loop.listenTls!(address, config.tlsPort, config.tcpBacklog, settings),
  );
}

/** @returns how many of the addresses could be had */
async function listenOn(
  addresses: readonly string[],
  port: number,
  kind: string,
  log: (level: number, text: string) => void,
  listen: (address: string) => Promise<unknown>,
): Promise<number> {
  let listening = 0;
  for (const entry of addresses) {
    const optional = entry.startsWith('-');
    const address = optional ? entry.slice(1) : entry;
    try {
      await listen(await literal(address));
      listening++;
    } catch (error) {
      const code = (error as { code?: string }).code ?? '';
      if (optional && optionalErrors.includes(code)) continue;
      const text = `Could not create server TCP listening socket ${address}:${port}: bind: ${systemText(error)}`;
      log(LOG_WARNING, `Warning: ${text}`);
      log(LOG_WARNING, `Failed listening on port ${port} (${kind}), aborting.`);
      throw new ListenError(text);
    }
  }
  return listening;
}

/** The host of "127.0.0.1:53211" or "[::1]:53211". */
function peerHost(addr: string): string {
  return addr.slice(0, addr.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

/** Turns away clients beyond maxclients, and those from other machines while protected mode is on and there is no password. */
export function protectClients(core: RedisCore): void {
  core.hooks.clientOpened.push((c) => {
    if (core.clientCount > core.config.maxclients) {
      core.stats.rejectedConnections++;
      addReplyProto(c, '-ERR max number of clients reached\r\n');
      core.closeClient(c, true);
      return;
    }
    if (!core.config.protectedMode || !core.acl.defaultUser.noPassword) return;
    if (isUnixSocket(c) || isLoopback(peerHost(c.addr))) return;
    core.stats.rejectedConnections++;
    addReplyProto(c, DENIED);
    core.closeClient(c, true);
  });
}
