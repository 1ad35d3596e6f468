/** Tells of listening sockets: in `stats conns`, and with -vv in the log. (The core does so itself for sockets for datagrams.) */
import type { Listener } from '../io/event-loop.ts';
import { TRANSPORT_LOCAL, TRANSPORT_TCP } from '../memcached/connection-table.ts';
import type { Core } from '../memcached/core.ts';
import { log } from './memcached-thread.ts';

/**
 * @param listener with a descriptor, where its loop has descriptors
 * @param kind what comes in there
 */
export function announceListener(core: Core, listener: Listener, kind: 'tcp' | 'unix'): void {
  const fd = (listener as { fd?: number }).fd ?? -1;
  const { address, port } = listener;
  const transport = kind === 'tcp' ? TRANSPORT_TCP : TRANSPORT_LOCAL;
  const name = kind === 'unix' ? '' : `${address.includes(':') ? `[${address}]` : address}:${port}`;
  core.listeners.listen(fd, transport, name, core.items.now);
  if (core.settings.verbose > 1) {
    log(`<${Math.max(0, fd)} server listening (${core.settings.protocol})`);
  }
}
