/** The line that describes a client, in CLIENT LIST and in the log. */
import {
  CLIENT_BLOCKED,
  CLIENT_CLOSE_AFTER_REPLY,
  CLIENT_CLOSE_ASAP,
  CLIENT_DIRTY_CAS,
  CLIENT_MONITOR,
  CLIENT_MULTI,
  CLIENT_NO_EVICT,
  CLIENT_PAUSED,
  CLIENT_PUBSUB,
  CLIENT_TRACKING,
  CLIENT_TRACKING_BCAST,
  CLIENT_TRACKING_BROKEN,
  type Client,
} from './client.ts';
import { clientArgumentBytes, clientMemory, clientOutputMemory, noteClientNamed } from './client-memory.ts';
import { shardSubscriptionCount, subscriptionCount } from './pubsub.ts';
import type { RedisCore } from './redis-core.ts';

/** Size of the output chunk that a connection starts with, as the loops use it. */
export const OUTPUT_CHUNK_BYTES = 16_384;

function flagLetters(c: Client): string {
  let letters = '';
  if ((c.flags & CLIENT_MONITOR) !== 0) letters += 'O';
  if ((c.flags & CLIENT_PUBSUB) !== 0) letters += 'P';
  if ((c.flags & CLIENT_MULTI) !== 0) letters += 'x';
  if ((c.flags & (CLIENT_BLOCKED | CLIENT_PAUSED)) !== 0) letters += 'b';
  if ((c.flags & CLIENT_TRACKING) !== 0) letters += 't';
  if ((c.flags & CLIENT_TRACKING_BROKEN) !== 0) letters += 'R';
  if ((c.flags & CLIENT_TRACKING_BCAST) !== 0) letters += 'B';
  if ((c.flags & CLIENT_DIRTY_CAS) !== 0) letters += 'd';
  if ((c.flags & CLIENT_CLOSE_AFTER_REPLY) !== 0) letters += 'c';
  if ((c.flags & CLIENT_CLOSE_ASAP) !== 0) letters += 'A';
  if (isUnixSocket(c)) letters += 'U';
  if ((c.flags & CLIENT_NO_EVICT) !== 0) letters += 'e';
  return letters === '' ? 'N' : letters;
}

/** A Unix socket's peer is named by the socket's path and port 0. */
export function isUnixSocket(c: Client): boolean {
  return c.addr.startsWith('/') || (c.addr.endsWith(':0') && !c.addr.includes('.') && !c.addr.startsWith('['));
}

/** Whether a client may do what only clients on this machine may. */
export function isLocalClient(c: Client): boolean {
  return isUnixSocket(c) || c.addr.startsWith('127.') || c.addr.startsWith('[::1]') || c.conn < 0;
}

/** The fields of CLIENT LIST, without a line end. */
export function clientInfo(core: RedisCore, c: Client): string {
  const transport = core.transport;
  // What has been read stays in the original's query buffer until all of it is understood.
  const input = c.inputBytes !== 0 ? c.inputBytes : transport.inputBytes(c.conn);
  noteClientNamed(core, c);
  const waiting = transport.outputBytes(c.conn);
  const chunks = transport.outputChunks(c.conn);
  const command = c.lastCommand?.fullName ?? 'NULL';
  return [
    `id=${c.id}`,
    `addr=${c.addr}`,
    `laddr=${c.laddr}`,
    `fd=${transport.descriptor(c.conn)}`,
    `name=${c.name}`,
    `age=${core.unixtime - c.ctime}`,
    `idle=${core.unixtime - c.lastInteraction}`,
    `flags=${flagLetters(c)}`,
    `db=${c.db.id}`,
    `sub=${c.channels?.size ?? 0}`,
    `psub=${subscriptionCount(c) - (c.channels?.size ?? 0)}`,
    `ssub=${shardSubscriptionCount(c)}`,
    `multi=${(c.flags & CLIENT_MULTI) === 0 ? -1 : (c.queued?.count ?? 0)}`,
    `qbuf=${input}`,
    `qbuf-free=${Math.max(0, Math.max(c.memory.queryRoom, transport.inputCapacity(c.conn)) - input)}`,
    `argv-mem=${clientArgumentBytes(c)}`,
    `multi-mem=${c.queued?.argumentBytes ?? 0}`,
    `rbs=${c.memory.replyRoom}`,
    `rbp=${c.peakOutput}`,
    `obl=${chunks === 0 ? waiting : Math.min(waiting, OUTPUT_CHUNK_BYTES)}`,
    `oll=${chunks}`,
    `omem=${clientOutputMemory(core, c)}`,
    `tot-mem=${clientMemory(core, c)}`,
    'events=r',
    `cmd=${command}`,
    `user=${c.user?.name ?? '(superuser)'}`,
    `redir=${(c.flags & CLIENT_TRACKING) === 0 ? -1 : c.trackingRedirect}`,
    `resp=${c.resp}`,
  ].join(' ');
}
