/** Tells of listening sockets: in `stats conns`, and with -vv in the log. */
import type { Listener } from '../io/event-loop.ts';
import { TRANSPORT_LOCAL, TRANSPORT_TCP, TRANSPORT_UDP } from '../memcached/connection-table.ts';
import type { Core } from '../memcached/core.ts';
import { log } from './memcached-thread.ts';

/**
 * @param listener with a descriptor, where its loop has descriptors
 * @param kind what comes in there
 */
export function announceListener(core: Core, listener: Listener, kind: 'tcp' | 'unix' | 'udp'): void {
  const fd = (listener as { fd?: number }).fd ?? -1;
  const { address, port } = listener;
  const transport = kind === 'tcp' ? TRANSPORT_TCP : kind === 'udp' ? TRANSPORT_UDP : TRANSPORT_LOCAL;
  const name = kind === 'unix' ? '' : `${address.includes(':') ? `[${address}]` : address}:${port}`;
  core.listeners.listen(fd, transport, name, core.items.now);
  if (core.settings.verbose > 1) {
    log(`<${Math.max(0, fd)} server listening (${kind === 'udp' ? 'udp' : core.settings.protocol})`);
  }
}
