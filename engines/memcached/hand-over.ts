/**
 * Connections that move from a worker's loop to the dispatcher's. Watchers do, so that one thread only sends the event log: their command comes to a
 * worker, which reserves a place among the watchers and gives the connection away; the dispatcher opens it under a slot of its own.
 */
import { STATE_CLOSING, STATE_WATCHING } from './connection-table.ts';
import type { Core } from './core.ts';

/** Why a connection moves to the dispatcher: it watches (the argument: which events). */
export const HAND_OVER_WATCH = 1;

export class HandOver {
  readonly #core: Core;
  /** Connections that are about to move as watchers. */
  readonly #watchersLeaving = new Set<number>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** Makes a connection a watcher, here or in the dispatcher. A place for it is reserved. */
  watch(conn: number, events: number): void {
    const core = this.#core;
    if (core.role !== 'worker' || core.hooks.handOver === undefined) {
      this.#beginWatch(conn, events);
      return;
    }
    core.output.finish();
    core.connections.state[conn] = STATE_CLOSING;
    this.#watchersLeaving.add(conn);
    core.hooks.handOver(conn, HAND_OVER_WATCH, events);
  }

  /**
   * A connection that a worker has given away has been opened here.
   * @param conn -1 when there was no place for it, and its descriptor has been closed
   */
  arrived(conn: number, purpose: number, argument: number): void {
    if (purpose !== HAND_OVER_WATCH) return;
    if (conn >= 0) this.#beginWatch(conn, argument);
    else this.#core.watchers.cancel();
  }

  /** A connection of this thread is no more: one that ends on its way gives its place back; one that arrives takes it with it. */
  closed(conn: number, isMoved: boolean): void {
    if (this.#watchersLeaving.delete(conn) && !isMoved) this.#core.watchers.cancel();
  }

  #beginWatch(conn: number, events: number): void {
    const core = this.#core;
    core.connections.state[conn] = STATE_WATCHING;
    core.output.finish();
    core.watchers.add(conn, events);
    core.background.wake(core.watchers.name);
  }
}
