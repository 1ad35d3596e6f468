/** Targets as a scenario file or the command line names them: short names, URLs, maps. */
import { suggestion } from './error.ts';
import type { TargetMap } from './fields.ts';
import type { EngineName, Scenario, TargetSpec } from './spec.ts';

/** A problem of one field of a target; `field` is empty where it is the whole of it. */
export type TargetOutcome = { target: TargetSpec } | { field: string; text: string };

/** What a short name stands for. The real servers are left out where they are not installed. */
const SHORT_NAMES: Record<string, TargetMap> = {
  'embedded-redis': { kind: 'embedded', engine: 'redis' },
  'embedded-memcached': { kind: 'embedded', engine: 'memcached' },
  redis: { kind: 'spawned', engine: 'redis', optional: true },
  memcached: { kind: 'spawned', engine: 'memcached', optional: true },
};

export const TARGET_NAMES: readonly string[] = Object.keys(SHORT_NAMES);

const ENGINE_OF_SCHEME: Record<string, EngineName> = {
  redis: 'redis',
  rediss: 'redis',
  memcached: 'memcached',
  'redis+unix': 'redis',
  'memcached+unix': 'memcached',
};

const BINARIES: Record<EngineName, string> = { redis: 'redis-server', memcached: 'memcached' };
const NAMES: Record<EngineName, string> = { redis: 'Redis', memcached: 'Memcached' };
const URL_FORMS = 'redis://host:port/db, rediss://, memcached://host:port, redis+unix:/path or memcached+unix:/path';

/** @returns a URL without user and password, for labels and reports */
export function withoutCredentials(url: string): string {
  return url.replace(/^([a-z+]+:\/\/)[^/?#]*@/i, '$1');
}

/** Whether a URL carries a password in plain text. */
function hasPassword(url: string): boolean {
  const credentials = /^[a-z+]+:\/\/([^/?#]*)@/i.exec(url);
  return credentials !== null && /:./.test(credentials[1]) && !/:\$\{\w+\}$/.test(credentials[1]);
}

/** Replaces ${NAME} by the environment's value. @returns the text, or the name of a variable that is not set */
function expandVariables(url: string, env: Record<string, string | undefined>): { url: string } | { missing: string } {
  let missing: string | null = null;
  const expanded = url.replace(/\$\{(\w+)\}/g, (_, variable: string) => {
    const value = Object.hasOwn(env, variable) ? env[variable] : undefined;
    if (value === undefined) missing ??= variable;
    return encodeURIComponent(value ?? '');
  });
  return missing === null ? { url: expanded } : { missing };
}

interface ParsedUrl {
  url: string;
  engine: EngineName | null;
}

function parseUrl(
  text: string,
  env: Record<string, string | undefined>,
  fromFile: boolean,
): ParsedUrl | { text: string } {
  // The URL itself is never quoted in an error: it may hold a password.
  if (fromFile && hasPassword(text)) {
    return {
      text: 'has a password in plain text: write $' + '{NAME} and set that environment variable, or use --target',
    };
  }
  const expanded = expandVariables(text, env);
  if ('missing' in expanded) return { text: `names the environment variable ${expanded.missing}, which is not set` };
  const scheme = /^([a-z+]+):/i.exec(expanded.url)?.[1].toLowerCase() ?? '';
  if (scheme === 'unix') {
    return expanded.url.length > 'unix:'.length ? { url: expanded.url, engine: null } : { text: 'must be unix:/path' };
  }
  if (!Object.hasOwn(ENGINE_OF_SCHEME, scheme)) return { text: `must be a URL such as ${URL_FORMS}` };
  const engine = ENGINE_OF_SCHEME[scheme];
  if (scheme.endsWith('+unix')) {
    const path = expanded.url.slice(scheme.length + 1);
    return path === '' ? { text: `must be ${scheme}:/path` } : { url: `unix:${path}`, engine };
  }
  let host: string;
  try {
    host = new URL(expanded.url.replace(/^[a-z+]+:/i, 'http:')).hostname;
  } catch {
    host = '';
  }
  if (host === '') return { text: `must be a URL such as ${URL_FORMS}` };
  return { url: expanded.url, engine };
}

function kindOf(map: TargetMap): TargetSpec['kind'] {
  if (map.kind !== undefined) return map.kind;
  if (map.url !== undefined) return 'remote';
  return map.binary !== undefined ? 'spawned' : 'embedded';
}

/** Fields that mean nothing for a kind of target. */
const FOREIGN: Record<TargetSpec['kind'], readonly (keyof TargetMap)[]> = {
  embedded: ['binary', 'url', 'optional'],
  spawned: ['url', 'eventLoop'],
  remote: ['binary', 'flags', 'optional', 'eventLoop', 'socket'],
};

function fromMap(map: TargetMap, env: Record<string, string | undefined>, fromFile: boolean): TargetOutcome {
  const kind = kindOf(map);
  const foreign = FOREIGN[kind].find((field) => map[field] !== undefined);
  if (foreign !== undefined) return { field: foreign, text: `has no meaning for a target of kind ${kind}: remove it` };
  let url: string | null = null;
  let engine = map.engine ?? null;
  if (kind === 'remote') {
    if (map.url === undefined) return { field: '', text: 'has no url: a remote target needs one' };
    const parsed = parseUrl(map.url, env, fromFile);
    if ('text' in parsed) return { field: 'url', text: parsed.text };
    if (engine !== null && parsed.engine !== null && engine !== parsed.engine) {
      return { field: 'engine', text: `is ${engine}, but the URL is of ${parsed.engine}` };
    }
    engine ??= parsed.engine;
    url = parsed.url;
  }
  if (engine === null) return { field: '', text: 'has no engine: add "engine: redis" or "engine: memcached"' };
  const shown = url === null ? kind : withoutCredentials(url);
  return {
    target: {
      id: map.id ?? (kind === 'spawned' ? engine : `${kind}-${engine}`),
      label: map.label ?? (kind === 'spawned' ? BINARIES[engine] : `${NAMES[engine]} (${shown})`),
      engine,
      kind,
      binary: kind === 'spawned' ? (map.binary ?? BINARIES[engine]) : null,
      flags: map.flags ?? [],
      url,
      optional: map.optional ?? false,
      eventLoop: map.eventLoop ?? 'auto',
      socket: map.socket ?? 'tcp',
    },
  };
}

/**
 * @param written a short name, a URL or a map
 * @param fromFile whether it stands in a file, where a password must not
 */
export function readTarget(
  written: string | TargetMap,
  env: Record<string, string | undefined>,
  fromFile: boolean,
): TargetOutcome {
  if (typeof written !== 'string') return fromMap(written, env, fromFile);
  if (Object.hasOwn(SHORT_NAMES, written)) return fromMap(SHORT_NAMES[written], env, fromFile);
  if (!written.includes(':')) {
    return {
      field: '',
      text: `is no known target${suggestion(written, TARGET_NAMES)}; a server elsewhere is given by its URL`,
    };
  }
  const outcome = fromMap({ url: written }, env, fromFile);
  // Under a plain text there is no field "url" to point to.
  return 'text' in outcome ? { field: '', text: outcome.text } : outcome;
}

/** The scenario as results may show it: no credentials in URLs, and none in flags that carry one. */
export function withoutSecrets(scenario: Scenario): Scenario {
  const targets = scenario.targets.map((target) => ({
    ...target,
    url: target.url === null ? null : withoutCredentials(target.url),
    flags: target.flags.map((flag, i) => {
      const before = i > 0 ? target.flags[i - 1] : '';
      if (/^--?(requirepass|masterauth|tls-key-file-pass)$/i.test(before)) return '***';
      return flag.replace(/^(--?(?:requirepass|masterauth)[= ]).*/i, '$1***');
    }),
  }));
  return { ...scenario, targets };
}
