/** Logging in and out, and what becomes of connected clients when their user changes. */
import { CLIENT_CLOSE_AFTER_COMMAND, CLIENT_MULTI, CLIENT_PUBSUB, type Client } from '../client.ts';
import type { RedisCore } from '../redis-core.ts';
import { addToAclLog, channelAllowed } from './check.ts';
import type { ChannelPattern } from './selector.ts';
import type { AclUser } from './user.ts';

/** What a new or reset connection may do: it is the default user, logged in if that needs no password. */
export function useDefaultUser(core: RedisCore, c: Client): void {
  c.user = core.acl.defaultUser;
  c.authenticated = !core.acl.loginRequired;
}

/** @returns whether user and password are right; the client then is that user. A refusal is remembered for ACL LOG */
export function logIn(core: RedisCore, c: Client, name: string, password: string): boolean {
  const user = core.acl.logIn(name, password);
  if (user === null) {
    const context = (c.flags & CLIENT_MULTI) !== 0 ? 'multi' : 'toplevel';
    addToAclLog(core, c, 'auth', context, c.argText(0), name);
    return false;
  }
  c.authenticated = true;
  c.user = user;
  return true;
}

function disconnect(core: RedisCore, one: Client, current: Client | null): void {
  // Who caused it gets an answer first.
  if (one === current) one.flags |= CLIENT_CLOSE_AFTER_COMMAND;
  else core.closeClient(one, false);
}

/** Disconnects everybody who is one of these users, which are no more. */
export function disconnectUsers(core: RedisCore, users: readonly AclUser[], current: Client | null): void {
  for (const one of core.clients) {
    if (one === null || one.user === null || !users.includes(one.user)) continue;
    one.user = core.acl.defaultUser;
    one.authenticated = false;
    disconnect(core, one, current);
  }
}

const scratch = new Uint8Array(1_024);

function nameAllowed(channels: readonly ChannelPattern[], name: string, literally: boolean): boolean {
  const bytes = name.length <= scratch.length ? scratch : new Uint8Array(name.length);
  for (let i = 0; i < name.length; i++) bytes[i] = name.charCodeAt(i);
  return channelAllowed(channels, bytes, 0, name.length, literally);
}

/** Disconnects subscribers whose user is about to lose the permission for what they are subscribed to. Call it before the change. */
export function disconnectSubscribers(core: RedisCore, before: AclUser, after: AclUser, current: Client | null): void {
  if (after.selectors.some((selector) => selector.allChannels)) return;
  const channels = after.selectors.flatMap((selector) => selector.channels);
  const names = new Set(channels.map((channel) => channel.text));
  const narrowed = before.selectors.some(
    (selector) => selector.allChannels || selector.channels.some((channel) => !names.has(channel.text)),
  );
  if (!narrowed) return;
  for (const one of core.clients) {
    if (one === null || one.user !== before || (one.flags & CLIENT_PUBSUB) === 0) continue;
    const allowed =
      [...(one.patterns ?? [])].every((name) => nameAllowed(channels, name, true)) &&
      [...(one.channels ?? []), ...(one.shardChannels ?? [])].every((name) => nameAllowed(channels, name, false));
    if (!allowed) disconnect(core, one, current);
  }
}
