/**
 * Keyspace events: what happens to keys, as messages on `__keyspace@<db>__:<key>` (the event) and `__keyevent@<db>__:<event>` (the
 * key), as far as `notify-keyspace-events` asks for it. Whether it does is asked in RedisCore.notifyKeyspaceEvent, so that a server that
 * sends none pays one comparison.
 */
import { NOTIFY_KEYEVENT, NOTIFY_KEYSPACE } from './db.ts';
import { publish } from './publish.ts';
import type { PubSub } from './pubsub.ts';
import type { RedisCore } from './redis-core.ts';

/** Room for the name of any event. */
const EVENT_BYTES = 64;

/** The sender of one core. */
export class KeyspaceEvents {
  private readonly core: RedisCore;
  private readonly pubsub: PubSub;

  constructor(core: RedisCore, pubsub: PubSub) {
    this.core = core;
    this.pubsub = pubsub;
  }

  send(event: string, offset: number, length: number, db: number): void {
    const { core, pubsub } = this;
    // Nobody listens to anything: no names need be built.
    if (pubsub.channels.size === 0 && pubsub.patterns.size === 0) return;
    const h = core.heap;
    const flags = core.notifyFlags;
    if ((flags & NOTIFY_KEYSPACE) !== 0) {
      const word = h.alloc(EVENT_BYTES);
      h.putLatin1(event, word);
      publish(core, pubsub, `__keyspace@${db}__:${h.latin1(offset, length)}`, word, event.length);
      h.free(word);
    }
    if ((flags & NOTIFY_KEYEVENT) !== 0) publish(core, pubsub, `__keyevent@${db}__:${event}`, offset, length);
  }
}
