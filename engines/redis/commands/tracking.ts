/** CLIENT TRACKING, CACHING, TRACKINGINFO, GETREDIR. */
import {
  CLIENT_TRACKING,
  CLIENT_TRACKING_BCAST,
  CLIENT_TRACKING_BROKEN,
  CLIENT_TRACKING_CACHING,
  CLIENT_TRACKING_NOLOOP,
  CLIENT_TRACKING_OPTIN,
  CLIENT_TRACKING_OPTOUT,
  type Client,
} from '../client.ts';
import type { CommandProc } from '../command.ts';
import {
  addReplyArrayLen,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyMapLen,
  addReplyOk,
  addReplySetLen,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { integerOrReply } from './integer-arguments.ts';

const MODE_WORDS: readonly (readonly [word: string, flag: number])[] = [
  ['bcast', CLIENT_TRACKING_BCAST],
  ['optin', CLIENT_TRACKING_OPTIN],
  ['optout', CLIENT_TRACKING_OPTOUT],
  ['noloop', CLIENT_TRACKING_NOLOOP],
];

interface TrackingOptions {
  redirect: number;
  modes: number;
  readonly prefixes: string[];
}

/** @returns null when the client was told what is wrong */
function readOptions(core: RedisCore, c: Client): TrackingOptions | null {
  const options: TrackingOptions = { redirect: 0, modes: 0, prefixes: [] };
  for (let i = 3; i < c.argc; i++) {
    const more = i + 1 < c.argc;
    const mode = MODE_WORDS.find(([word]) => c.argIs(i, word));
    if (mode !== undefined) {
      options.modes |= mode[1];
    } else if (more && c.argIs(i, 'redirect')) {
      if (options.redirect !== 0) {
        addReplyError(c, 'A client can only redirect to a single other client');
        return null;
      }
      const id = integerOrReply(c, ++i);
      if (id === null) return null;
      if (!core.clientsById.has(id)) {
        addReplyError(c, 'The client ID you want redirect to does not exist');
        return null;
      }
      options.redirect = id;
    } else if (more && c.argIs(i, 'prefix')) {
      options.prefixes.push(c.argText(++i));
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return null;
    }
  }
  return options;
}

/** What keeps these options from being switched on now; null: nothing. */
function conflict(c: Client, { modes, prefixes }: TrackingOptions): string | null {
  const bcast = modes & CLIENT_TRACKING_BCAST;
  const optin = modes & CLIENT_TRACKING_OPTIN;
  const optout = modes & CLIENT_TRACKING_OPTOUT;
  if (bcast === 0 && prefixes.length > 0) return 'PREFIX option requires BCAST mode to be enabled';
  if ((c.flags & CLIENT_TRACKING) !== 0 && (c.flags & CLIENT_TRACKING_BCAST) !== bcast) {
    return (
      "You can't switch BCAST mode on/off before disabling tracking for this client, " +
      'and then re-enabling it with a different mode.'
    );
  }
  if (bcast !== 0 && (optin | optout) !== 0) return 'OPTIN and OPTOUT are not compatible with BCAST';
  if (optin !== 0 && optout !== 0) return "You can't specify both OPTIN mode and OPTOUT mode";
  if (
    (optin !== 0 && (c.flags & CLIENT_TRACKING_OPTOUT) !== 0) ||
    (optout !== 0 && (c.flags & CLIENT_TRACKING_OPTIN) !== 0)
  ) {
    return (
      "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, " +
      'and then re-enabling it with a different mode.'
    );
  }
  return bcast === 0 ? null : prefixConflict(c, prefixes);
}

function prefixConflict(c: Client, prefixes: readonly string[]): string | null {
  const overlap = (a: string, b: string) => a.startsWith(b) || b.startsWith(a);
  const text = 'Prefixes for a single client must not overlap.';
  for (let i = 0; i < prefixes.length; i++) {
    const one = prefixes[i]!;
    for (const held of c.trackingPrefixes ?? []) {
      if (overlap(one, held)) return `Prefix '${one}' overlaps with an existing prefix '${held}'. ${text}`;
    }
    for (const other of prefixes.slice(i + 1)) {
      if (overlap(one, other)) return `Prefix '${one}' overlaps with another provided prefix '${other}'. ${text}`;
    }
  }
  return null;
}

function tracking(core: RedisCore, c: Client): void {
  const options = readOptions(core, c);
  if (options === null) return;
  if (c.argIs(2, 'on')) {
    const problem = conflict(c, options);
    if (problem !== null) {
      addReplyError(c, problem);
      return;
    }
    core.tracking.enable(c, options.redirect, options.modes, options.prefixes);
  } else if (c.argIs(2, 'off')) {
    core.tracking.disable(c);
  } else {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  addReplyOk(c);
}

function caching(_core: RedisCore, c: Client): void {
  if ((c.flags & CLIENT_TRACKING) === 0) {
    addReplyError(
      c,
      'CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled',
    );
    return;
  }
  const yes = c.argIs(2, 'yes');
  if (!yes && !c.argIs(2, 'no')) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  if ((c.flags & (yes ? CLIENT_TRACKING_OPTIN : CLIENT_TRACKING_OPTOUT)) === 0) {
    const [word, mode] = yes ? ['YES', 'OPTIN'] : ['NO', 'OPTOUT'];
    addReplyError(c, `CLIENT CACHING ${word} is only valid when tracking is enabled in ${mode} mode.`);
    return;
  }
  c.flags |= CLIENT_TRACKING_CACHING;
  addReplyOk(c);
}

function redirectOf(c: Client): number {
  return (c.flags & CLIENT_TRACKING) === 0 ? -1 : c.trackingRedirect;
}

function trackingInfo(_core: RedisCore, c: Client): void {
  const has = (flag: number) => (c.flags & flag) !== 0;
  const words = [has(CLIENT_TRACKING) ? 'on' : 'off'];
  if (has(CLIENT_TRACKING_BCAST)) words.push('bcast');
  if (has(CLIENT_TRACKING_OPTIN)) {
    words.push('optin');
    if (has(CLIENT_TRACKING_CACHING)) words.push('caching-yes');
  }
  if (has(CLIENT_TRACKING_OPTOUT)) {
    words.push('optout');
    if (has(CLIENT_TRACKING_CACHING)) words.push('caching-no');
  }
  if (has(CLIENT_TRACKING_NOLOOP)) words.push('noloop');
  if (has(CLIENT_TRACKING_BROKEN)) words.push('broken_redirect');
  addReplyMapLen(c, 3);
  addReplyBulkString(c, 'flags');
  addReplySetLen(c, words.length);
  for (const word of words) addReplyBulkString(c, word);
  addReplyBulkString(c, 'redirect');
  addReplyLong(c, redirectOf(c));
  addReplyBulkString(c, 'prefixes');
  const prefixes = c.trackingPrefixes ?? [];
  addReplyArrayLen(c, prefixes.length);
  for (const prefix of prefixes) addReplyBulkString(c, prefix);
}

/** By full name. */
export const trackingProcs: Readonly<Record<string, CommandProc>> = {
  'client|tracking': tracking,
  'client|caching': caching,
  'client|trackinginfo': trackingInfo,
  'client|getredir': (_core, c) => addReplyLong(c, redirectOf(c)),
};
