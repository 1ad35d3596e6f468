/** MONITOR: clients that are shown every command that is executed, as one line of text. */
import { CLIENT_MONITOR, CLIENT_SCRIPT, type Client } from './client.ts';
import { isUnixSocket } from './client-info.ts';
import { closeOverLimit } from './client-limits.ts';
import { quoteWord } from './config-words.ts';
import { addReplyProto } from './protocol/reply.ts';
import type { RedisCore } from './redis-core.ts';

/** What stands in the place of a password. */
export const REDACTED = '(redacted)';

/** The address as the lines show it: "127.0.0.1:1234", "unix:/path" or "lua". */
function origin(c: Client): string {
  if ((c.flags & CLIENT_SCRIPT) !== 0) return 'lua';
  return isUnixSocket(c) ? `unix:${c.addr.slice(0, c.addr.lastIndexOf(':'))}` : c.addr;
}

/** Shows the client's present command to all monitors. Call it only while there are any. */
export function feedMonitors(core: RedisCore, c: Client): void {
  const wallMs = core.clock.wallMs();
  // The clock has whole milliseconds; what is finer comes from the monotonic one, so that lines tell their order.
  const micros = (Math.floor(wallMs) % 1000) * 1000 + (Math.floor(core.clock.monoUs()) % 1000);
  let line = `+${Math.floor(wallMs / 1000)}.${String(micros).padStart(6, '0')} [${c.db.id} ${origin(c)}]`;
  for (let i = 0; i < c.argc; i++) line += c.isRedacted(i) ? ` "${REDACTED}"` : ` ${quoteWord(c.argText(i))}`;
  line += '\r\n';
  for (const monitor of core.monitors) {
    addReplyProto(monitor, line);
    closeOverLimit(core, monitor);
  }
}

export function startMonitoring(core: RedisCore, c: Client): void {
  c.flags |= CLIENT_MONITOR;
  core.monitors.push(c);
}

export function stopMonitoring(core: RedisCore, c: Client): void {
  if ((c.flags & CLIENT_MONITOR) === 0) return;
  c.flags &= ~CLIENT_MONITOR;
  core.monitors.splice(core.monitors.indexOf(c), 1);
}
