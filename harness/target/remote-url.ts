/** Addresses of servers elsewhere, as users write them. */
import type { EngineName } from '../../scenarios/spec.ts';
import type { ServerAddress } from '../driver/load-plan.ts';
import { TargetError } from './target.ts';

export interface RemoteAddress {
  engine: EngineName;
  address: ServerAddress;
  username: string | null;
  password: string | null;
  database: number;
}

const DEFAULT_PORT: Record<EngineName, number> = { redis: 6379, memcached: 11211 };

/** Replaces the password (and user) in every URL of a text, so that it can be printed and stored. */
export function maskCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)([^\s/@"']*)@/gi, (_all, scheme: string, user: string) => {
    const name = user.split(':')[0];
    return user.includes(':') ? `${scheme}${name}:***@` : `${scheme}***@`;
  });
}

/**
 * Reads redis://, rediss://, memcached:// and unix: addresses: `redis://[user:password@]host[:port][/database]`,
 * `memcached://[user:password@]host[:port]`, `unix:/path[?database=N]` (also unix:///path).
 *
 * @param engine which engine answers at a unix: address; others say it themselves
 * @throws TargetError that names the URL without its password
 */
export function parseRemoteUrl(text: string, engine: EngineName): RemoteAddress {
  const fail = (why: string): never => {
    throw new TargetError(
      `Cannot parse target "${maskCredentials(text)}": ${why}. Write redis://host:6379/0, rediss://host:6380, memcached://host:11211 or unix:/path/to/socket`,
    );
  };
  if (/^unix:/i.test(text)) {
    const rest = text.slice(5).replace(/^\/\/(?=\/)/, '');
    const [path, query] = rest.split('?') as [string, string | undefined];
    if (!path.startsWith('/')) fail('the path of a Unix socket must be absolute');
    const database = Number(new URLSearchParams(query ?? '').get('database') ?? 0);
    if (!Number.isInteger(database) || database < 0) fail('the database is no number');
    return { engine, address: { kind: 'unix', path }, username: null, password: null, database };
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return fail('it is no URL');
  }
  const schemes: Record<string, EngineName> = { 'redis:': 'redis', 'rediss:': 'redis', 'memcached:': 'memcached' };
  const found = schemes[url.protocol];
  if (found === undefined) return fail(`the scheme "${url.protocol.slice(0, -1)}" is unknown`);
  if (url.hostname === '') fail('the host is missing');
  const databaseText = url.pathname.replace(/^\//, '');
  if (found === 'memcached' && databaseText !== '') fail('memcached has no databases');
  const database = databaseText === '' ? 0 : Number(databaseText);
  if (!Number.isInteger(database) || database < 0) fail(`the database "${databaseText}" is no number`);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? DEFAULT_PORT[found] : Number(url.port);
  const address: ServerAddress =
    url.protocol === 'rediss:' ? { kind: 'tcp', host, port, tls: { servername: host } } : { kind: 'tcp', host, port };
  return {
    engine: found,
    address,
    username: url.username === '' ? null : decodeURIComponent(url.username),
    password: url.password === '' ? null : decodeURIComponent(url.password),
    database,
  };
}
